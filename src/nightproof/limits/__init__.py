"""Shared allowances: how much of something all runs together may use."""

from nightproof.limits.quota import Allowance as Allowance
from nightproof.limits.quota import Quota as Quota

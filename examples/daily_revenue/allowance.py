"""What the project may ask of AdMob, for all its jobs together."""

from __future__ import annotations

from nightproof import Quota

from .credentials import setting

ADMOB = Quota("admob", rate=setting("ADMOB_RATE", "900/min"), shares={"telemetry": 0.3})
"""Reporting requests of a Google Cloud project; the published limit is one of a minute."""

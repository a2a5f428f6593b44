"""The only read side: what commands and pages show of a journal, as plain data."""

from nightproof.views.effects import EffectView as EffectView
from nightproof.views.effects import effects as effects
from nightproof.views.quotas import QuotaView as QuotaView
from nightproof.views.quotas import quotas as quotas
from nightproof.views.runs import AttemptView as AttemptView
from nightproof.views.runs import RunSummary as RunSummary
from nightproof.views.runs import RunView as RunView
from nightproof.views.runs import open_run as open_run
from nightproof.views.runs import runs as runs
from nightproof.views.runs import summary as summary
from nightproof.views.runs import view as view
from nightproof.views.runs import word as word
from nightproof.views.steps import ItemView as ItemView
from nightproof.views.steps import Page as Page
from nightproof.views.steps import StepCount as StepCount
from nightproof.views.steps import counts as counts
from nightproof.views.steps import items as items
from nightproof.views.timeline import Line as Line
from nightproof.views.timeline import timeline as timeline

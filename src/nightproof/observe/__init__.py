"""Watching: what stalls, fails, is missed, brings nothing, drifts or runs out is told once."""

from nightproof.observe.incident import Incident as Incident
from nightproof.observe.watcher import Watcher as Watcher
from nightproof.observe.watcher import watch as watch

"""Watching: what stalls, fails, is missed, brings nothing, drifts or runs out is told once."""

from pathlib import Path

from nightproof.observe.incident import Incident as Incident
from nightproof.observe.watcher import Watcher as Watcher
from nightproof.observe.watcher import watch as watch


def rules() -> str:
    """The alert rules for Prometheus that belong to the metrics, as YAML."""
    return Path(__file__).with_name("rules.yml").read_text(encoding="utf-8")

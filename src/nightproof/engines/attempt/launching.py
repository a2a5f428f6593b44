"""What to run, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nightproof.durable.job import Job
from nightproof.engines.attempt.run import Run
from nightproof.engines.attempt.state import Options


@dataclass(slots=True)
class Launch:
    """What to run and how."""

    job: Job[Any, Any]
    contract: Any
    replicate: int = 0
    """0: the run itself; -1: the next free replicate; n: that replicate."""
    options: Options = field(default_factory=Options)
    parent: int | None = None
    target: str = ""
    verify: Callable[[Any], Any] | None = None
    """Awaited before the first step: refuses inputs that are not what the contract says."""
    watch: Callable[[Run], None] | None = None
    """Told of the run as soon as this attempt owns it: for progress displays."""
    notes: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """What the log says of this attempt, by the kind of the entry."""

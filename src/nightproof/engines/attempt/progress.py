"""Counters that a progress display reads; never in the way of the work."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class StepProgress:
    """How far one step name has come in this attempt."""

    name: str
    total: int | None = None
    executed: int = 0
    replayed: int = 0
    failed: int = 0
    retries: int = 0

    @property
    def done(self) -> int:
        """Results available, old and new."""
        return self.executed + self.replayed + self.failed


@dataclass(slots=True)
class Progress:
    """How far a run has come in this attempt."""

    steps: dict[str, StepProgress] = field(default_factory=dict)
    waiting: dict[int, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def of(self, name: str) -> StepProgress:
        """The counters of a step name."""
        found = self.steps.get(name)
        if found is None:
            found = self.steps[name] = StepProgress(name)
        return found

    @property
    def executed(self) -> int:
        """Steps, items and effects that ran in this attempt."""
        return sum(step.executed for step in self.steps.values())

    @property
    def replayed(self) -> int:
        """Those whose recorded result was used."""
        return sum(step.replayed for step in self.steps.values())

    @property
    def failed(self) -> int:
        """Those that failed for good."""
        return sum(step.failed for step in self.steps.values())

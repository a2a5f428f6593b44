"""What a row of the benchmark is: contenders, their sizes, and the bounds that hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

NIGHTPROOF = "nightproof"
PEERS = ("DBOS", "Absurd", "satay", "Temporal")


@dataclass(frozen=True)
class Contender:
    """One side of a row.

    `target` is `module:function`; the function gets a fresh directory as `work` and the
    parameters, and returns a dict with at least `value` in the unit of the row. `quick`
    replaces parameters under --quick. `rounds` caps the repetitions of slow peers.
    """

    label: str
    target: str
    params: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)
    rounds: int | None = None
    needs: Literal["", "postgres", "temporal", "satay", "strace"] = ""

    @property
    def ours(self) -> bool:
        return self.label.startswith(NIGHTPROOF)

    @property
    def peer(self) -> bool:
        return self.label.startswith(PEERS)

    def arguments(self, *, quick: bool) -> dict[str, Any]:
        return {**self.params, **(self.quick if quick else {})}


@dataclass(frozen=True)
class Bound:
    """A number to reach.

    `ratio`: median over the rounds of ours / over. `extra`: of ours - over, in the unit of
    the row. `absolute`: the median of ours alone.
    """

    ours: str
    kind: Literal["ratio", "extra", "absolute"]
    limit: float
    at_least: bool
    over: str = ""

    def words(self, unit: str) -> str:
        sign = "≥" if self.at_least else "≤"
        if self.kind == "ratio":
            return f"{sign} {self.limit:g} times {self.over}"
        if self.kind == "extra":
            return f"{sign} {self.over} + {self.limit:g} {unit}"
        return f"{sign} {self.limit:,.6g} {unit}"

    def met(self, reached: float) -> bool:
        return reached >= self.limit if self.at_least else reached <= self.limit


@dataclass(frozen=True)
class Row:
    """A quantity, measured for several contenders that do the same work."""

    name: str
    title: str
    unit: str
    contenders: tuple[Contender, ...]
    bounds: tuple[Bound, ...] = ()
    rounds: int = 3
    note: str = ""

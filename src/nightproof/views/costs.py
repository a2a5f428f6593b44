"""What a run has used: time, tokens, money and answers of models, as far as that is on record."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

from nightproof.journal.listing import SpanRow
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import Kind
from nightproof.provenance.served import Served
from nightproof.views.noted import Noted, Spent
from nightproof.views.notes import Status
from nightproof.views.quotas import UseView, quotas
from nightproof.views.values import Time, iso

_CALLS = (Kind.RESULT, Kind.FAILURE, Kind.EFFECT)
_COST = re.compile(
    r"token|cost|money|price|credit|spend|spent|usd|eur|gbp|dollar|cent", re.IGNORECASE
)
_CHILDREN = 100
_NAMED = 5


@dataclass(frozen=True, slots=True)
class StepCost:
    """What one step has used, all its calls together.

    `seconds` is the time that its calls took, which overlap where they ran side by side;
    `share` is its part of that of all steps. `tokens` and `money` are what it reported, None
    where it never did; `answers` counts the recorded answers of models.
    """

    step: str
    calls: int
    seconds: float
    longest: float
    share: float
    reports: int
    tokens: float | None
    money: float | None
    answers: int


@dataclass(frozen=True, slots=True)
class ModelCost:
    """How often a model answered."""

    provider: str
    requested: str
    reported: str | None
    status: Status
    answers: int


@dataclass(frozen=True, slots=True)
class MeasureCost:
    """A measure of the run that is named like a cost."""

    name: str
    value: float | None
    """Null for what is no finite number."""


@dataclass(frozen=True, slots=True)
class AllowanceView:
    """A shared allowance of tokens or money, as used by all runs of the store together."""

    quota: str
    use: UseView


@dataclass(frozen=True, slots=True)
class CostView:
    """The cost of a run. Money is in whatever currency its steps reported."""

    run: str
    tokens: float | None
    money: float | None
    reports: int
    answers: int
    seconds: float
    """The time of all steps, added up."""
    steps: list[StepCost]
    models: list[ModelCost]
    measures: list[MeasureCost]
    allowances: list[AllowanceView]
    children: list[str]
    """Child runs: what they used is their own."""
    unknown: list[str]
    """What is not known, in sentences."""
    counted: Time | None = None
    """Only what was recorded up to then has been counted; None where that is all."""


@dataclass(slots=True)
class _Timed:
    calls: int = 0
    micros: int = 0
    longest: int = 0

    def add(self, row: SpanRow) -> None:
        self.calls += row.count
        self.micros += row.took
        self.longest = max(self.longest, row.longest)


@dataclass(slots=True)
class _Step:
    timed: _Timed = field(default_factory=_Timed)
    spent: Spent = field(default_factory=Spent)
    answers: int = 0


async def costs(
    reader: Reader, row: RunRow, noted: Noted | None = None, seconds: float | None = None
) -> CostView:
    """What a run has used.

    With `seconds` the events of a very long run are read for about that time; given the same
    `noted` again it goes on from there.
    """
    noted = noted or Noted()
    await noted.advance(reader, row, seconds)
    spans = [one for one in await reader.spans(row.id) if one.kind in _CALLS and one.code]
    codes = await reader.codes({one.code for one in spans})
    steps: dict[str, _Step] = {}
    for span in spans:
        name = codes[span.code].name if span.code in codes else "?"
        steps.setdefault(name, _Step()).timed.add(span)
    for name, spent in noted.spent.items():
        steps.setdefault(name, _Step()).spent = spent
    for answer, count in noted.answers.items():
        steps.setdefault(answer.step, _Step()).answers += count
    children = await reader.runs(RunFilter(parent=row.id, limit=_CHILDREN, brief=True))
    micros = sum(one.timed.micros for one in steps.values())
    listed = [_step(name, one, micros) for name, one in steps.items()]
    listed.sort(key=lambda one: one.seconds, reverse=True)
    return CostView(
        run=row.name,
        tokens=_sum([one.tokens for one in listed]),
        money=_sum([one.money for one in listed]),
        reports=sum(one.reports for one in listed),
        answers=sum(noted.answers.values()),
        seconds=micros / 1e6,
        steps=listed,
        models=_models(noted.answers),
        measures=[
            MeasureCost(name, value) for name, value in noted.measures.items() if _COST.search(name)
        ],
        allowances=await _allowances(reader),
        children=[child.name for child in children],
        unknown=_unknown(listed, len(children)),
        counted=None if noted.complete else iso(noted.at),
    )


def _step(name: str, one: _Step, micros: int) -> StepCost:
    timed, spent = one.timed, one.spent
    return StepCost(
        step=name,
        calls=timed.calls,
        seconds=timed.micros / 1e6,
        longest=timed.longest / 1e6,
        share=timed.micros / micros if micros else 0.0,
        reports=spent.reports,
        tokens=spent.tokens,
        money=spent.money,
        answers=one.answers,
    )


def _models(answers: dict[Served, int]) -> list[ModelCost]:
    found: dict[tuple[str, str, str | None, Status], int] = {}
    for one, count in answers.items():
        key = (one.provider, one.requested, one.reported, cast("Status", one.status))
        found[key] = found.get(key, 0) + count
    return [ModelCost(*key, count) for key, count in sorted(found.items(), key=lambda at: -at[1])]


async def _allowances(reader: Reader) -> list[AllowanceView]:
    return [
        AllowanceView(one.name, use)
        for one in await quotas(reader)
        for use in one.uses
        if use.what in ("tokens", "money")
    ]


def _sum(amounts: list[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _unknown(steps: list[StepCost], children: int) -> list[str]:
    found = []
    silent = [one for one in steps if one.answers and not one.reports]
    if silent:
        names = ", ".join(one.step or "the job's body" for one in silent[:_NAMED])
        more = f" and {len(silent) - _NAMED} more" if len(silent) > _NAMED else ""
        count = sum(one.answers for one in silent)
        found.append(
            f"{count} {'answer of a model' if count == 1 else 'answers of models'} came in steps "
            f"that reported no tokens ({names}{more}): what that cost is not on record"
        )
    if not any(one.reports for one in steps):
        found.append(
            "no step reported tokens or money: only what a step tells with "
            "spend(tokens=…, money=…) is on record"
        )
    elif not any(one.money is not None for one in steps):
        found.append("no step reported money: tokens have no price on record")
    if children:
        found.append("what child runs used is on their own pages, and not part of these sums")
    return found

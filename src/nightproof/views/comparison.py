"""What ``diff --json`` and the drift page say of two runs, as plain data."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from nightproof.contract.secrets import hidden
from nightproof.drift.compare import Comparison, Divergence
from nightproof.drift.record import LAST, MISSING, inputs
from nightproof.drift.verdict import Judgement
from nightproof.journal.protocol import Reader

Cause = Literal["input", "code", "environment", "context", "model", "sampling"]
Proof = Literal["proved by swap", "consistent with", "excluded", "not testable"]
PointKind = Literal["step", "effect", "child run", "artifact", "result"]
INPUTS_SHOWN = 4000
"""So many characters of the inputs of the step in which runs part."""


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """One recorded item that bears on a cause; None where a side does not have it."""

    cause: Cause
    item: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class SideView:
    """The digests of one side, as stored and after normalising."""

    raw: str
    normalised: str


@dataclass(frozen=True, slots=True)
class PlaceView:
    """A differing place of a value: its JSON Pointer, and either side as JSON text."""

    path: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class ValuesView:
    """How two values differ: in places of a structured value, or in lines of a text.

    `text` is a unified diff; `more` counts the places or lines that are left out.
    """

    places: list[PlaceView]
    text: list[str]
    more: int
    remark: str


@dataclass(frozen=True, slots=True)
class Texts:
    """A text of run A and one of run B; None where a side has none."""

    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Entries:
    """A place in the history of run A and one in that of run B; None where a side has none."""

    a: int | None
    b: int | None


@dataclass(frozen=True, slots=True)
class DivergenceView:
    """Where two runs part; `runs` are child runs where it lies in one.

    `hidden` says that nothing of it
    is left after normalising. `entries` are the places in the histories of `runs`, `inputs`
    the arguments as JSON text, cut.
    """

    step: str
    key: str
    a: SideView | None
    b: SideView | None
    runs: Texts
    kind: PointKind
    what: Literal["output", "inputs", "only in A", "only in B"]
    hidden: bool
    entries: Entries
    inputs: Texts
    values: ValuesView


@dataclass(frozen=True, slots=True)
class ResultCounts:
    """How many results were compared, and how many differ, also before normalising."""

    compared: int
    differing: int
    differing_raw: int


@dataclass(frozen=True, slots=True)
class DriftDocument:
    """Two runs of a job compared, and what may be the cause of a difference.

    `first_divergence` is a difference before normalising where none is left after it: then its
    normalised digests are equal, and `drift` is false. `reasons` says why a cause is not testable.
    """

    a: str
    b: str
    drift: bool
    verdicts: dict[Cause, Proof]
    """For each possible cause."""
    cause: Cause | None
    evidence: list[EvidenceView]
    first_divergence: DivergenceView | None
    reasons: dict[Cause, str]
    results: ResultCounts
    normalisers: list[str]
    other_code: bool
    """Whether some step, or the job, was other code in the other run."""


@dataclass(frozen=True, slots=True)
class DriftView:
    """A comparison and the verdicts on it; `given` are the inputs of the first difference."""

    comparison: Comparison
    judgement: Judgement
    given: Texts = field(default_factory=lambda: Texts(None, None))

    def document(self) -> DriftDocument:
        """The document of ``diff --json``."""
        found, judged = self.comparison, self.judgement
        return DriftDocument(
            found.a.run.name,
            found.b.run.name,
            found.drift,
            cast("dict[Cause, Proof]", judged.verdicts),
            cast("Cause | None", judged.cause),
            [EvidenceView(cast("Cause", e.cause), e.item, e.a, e.b) for e in judged.evidence],
            _divergence(found.innermost, self.given),
            cast("dict[Cause, str]", judged.reasons),
            ResultCounts(found.compared, found.real, found.raw),
            list(found.rules),
            found.other_code,
        )


def name(found: Divergence) -> str:
    """A step by its name; what is no step says what it is."""
    if found.kind == "result":
        return "result"
    return found.step if found.kind in ("step", "effect") else f"{found.kind} {found.step}"


async def given(reader: Reader, found: Comparison) -> Texts:
    """The inputs of the first difference, where it has any."""
    inner = found.innermost
    first = inner.first or inner.first_raw
    if first is None or first.kind not in ("step", "effect", "child run"):
        return Texts(None, None)
    shown: list[str | None] = []
    for record, point in zip((inner.a, inner.b), first.points, strict=True):
        value: Any = MISSING if point is None else await inputs(reader, record.run, point)
        text = None if value is MISSING else json.dumps(hidden(value), ensure_ascii=False)
        long = text is not None and len(text) > INPUTS_SHOWN
        shown.append(f"{text[: INPUTS_SHOWN - 1]}…" if text is not None and long else text)
    return Texts(shown[0], shown[1])


def _divergence(inner: Comparison, told: Texts) -> DivergenceView | None:
    found = inner.first or inner.first_raw
    if found is None:
        return None
    seqs = [p.seq if p is not None and p.seq != LAST else None for p in found.points]
    values = found.values
    return DivergenceView(
        name(found),
        found.key,
        None if found.a is None else SideView(found.a.raw, found.a.normalised),
        None if found.b is None else SideView(found.b.raw, found.b.normalised),
        Texts(inner.a.run.name, inner.b.run.name),
        cast("Any", found.kind),
        cast("Any", found.what),
        found.hidden,
        Entries(seqs[0], seqs[1]),
        told,
        ValuesView(
            [PlaceView(one.path, one.a, one.b) for one in values.places],
            values.text,
            values.more,
            values.remark,
        ),
    )

"""Two runs side by side: where they part, and what may be the cause."""

from __future__ import annotations

import re
import shlex
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from nightproof.drift.verdict import CONSISTENT, EXCLUDED, NOT_TESTABLE, PROVED
from nightproof.errors import NightproofError, NotFound
from nightproof.journal.records import RunRow
from nightproof.views import view
from nightproof.views.pairs import (
    Explained,
    beside,
    comparable,
    explained,
    last_nights,
    newest_pairs,
)
from nightproof.views.runs import open_run, word
from nightproof.views.values import whole
from nightproof.web.comparing import Answer, comparisons
from nightproof.web.diffing import Line, Piece, Words, side_by_side
from nightproof.web.nights import memory_of
from nightproof.web.rendering import page, url
from nightproof.web.site import Site, site_of

MARKS = {
    PROVED: "drifted", CONSISTENT: "parked", NOT_TESTABLE: "pending", EXCLUDED: "skipped",
}  # fmt: skip
CURES = {
    "input": "Compare runs of one contract: their replicates.",
    "code": "Compare runs of the same code, or expect the difference.",
    "environment": "nightproof env lock, env restore, or --isolate",
    "context": "Declare what is read: in the contract or the settings; --strict refuses the rest.",
    "model": "Pin the version, with onMismatch: halt.",
    "sampling": "Fix the seeds, or decide by replicates how much is tolerable.",
}
SAID = {CONSISTENT: "consistent with the record"}
ABSENT = "(absent)"
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")


class Cause(NamedTuple):
    """A cause as it is shown."""

    name: str
    verdict: str
    mark: str
    reason: str
    cure: str
    evidence: list[dict[str, Any]]


class Place(NamedTuple):
    """A differing place of a value, cut into words; None where both sides are in the text."""

    path: str
    a: list[Piece] | None
    b: list[Piece] | None


class Values(NamedTuple):
    """How two values differ."""

    places: list[Place]
    lines: list[Line]
    more: int
    remark: str


def run_command(verb: str, *names: str) -> str:
    """A command of nightproof about runs or jobs, as a shell takes it."""
    front = ["--"] if any(name.startswith("-") for name in names) else []
    return " ".join(["nightproof", verb, *front, *map(shlex.quote, names)])


def causes(found: dict[str, Any]) -> list[Cause]:
    """What a document says of each cause, the suspects first."""
    order = [PROVED, CONSISTENT, NOT_TESTABLE, EXCLUDED]
    all_of_them = [
        Cause(
            name,
            verdict,
            MARKS.get(verdict, "pending"),
            _reason(found, name, verdict),
            CURES.get(name, "") if verdict in (PROVED, CONSISTENT) else "",
            [
                {**one, "a": short(one["a"]), "b": short(one["b"])}
                for one in found["evidence"]
                if one["cause"] == name
            ],
        )
        for name, verdict in found["verdicts"].items()
    ]
    rank = {verdict: number for number, verdict in enumerate(order)}
    return sorted(all_of_them, key=lambda one: rank.get(one.verdict, len(order)))


def _reason(found: dict[str, Any], name: str, verdict: str) -> str:
    if verdict == EXCLUDED:
        return ""
    if name == "sampling" and verdict == NOT_TESTABLE and name not in found["reasons"]:
        return "something else is consistent with the drift"
    return str(found["reasons"].get(name, ""))


def short(text: str | None) -> str | None:
    """A text with its digests cut to what is enough to see that they differ."""
    return None if text is None else _DIGEST.sub(r"\1…", text)


def values(found: dict[str, Any]) -> Values:
    """The values of a first divergence, cut into words."""
    places, cut = [], Words()
    for one in found["places"]:
        if one["a"] is None and one["b"] is None:
            places.append(Place(one["path"], None, None))
            continue
        a, b = (ABSENT if one[side] is None else one[side] for side in ("a", "b"))
        places.append(Place(one["path"], *cut(a, b)))
    return Values(places, side_by_side(found["text"], cut), found["more"], found["remark"])


def headline(found: dict[str, Any], cause: str | None, verdict: str) -> tuple[str, str]:
    """What a comparison comes to: a title, and how far."""
    if not found["drift"]:
        return "No drift", extent(found)
    first = found["firstDivergence"]
    key = f" [{first['key']}]" if first["key"] else ""
    told = f"; cause: {cause}, {SAID.get(verdict, verdict)}" if cause else "; no cause is named"
    return f"Drift in {first['step']}{key}", extent(found) + told


def extent(found: dict[str, Any]) -> str:
    """How many results differ."""
    count = found["results"]
    rules = f" after normalising {', '.join(found['normalisers'])}" if found["normalisers"] else ""
    if found["drift"]:
        before = f" ({count['differingRaw']:,} before it)" if rules else ""
        return f"{count['differing']:,} of {count['compared']:,} results differ{rules}{before}"
    if count["differingRaw"]:
        return (
            f"the same{rules}; before it, {count['differingRaw']:,} of "
            f"{count['compared']:,} results differ"
        )
    return f"{count['compared']:,} results are the same, byte for byte"


async def drift(request: Request) -> Response:
    """Two runs beside each other, or a choice of them."""
    a, b, job = (request.query_params.get(side, "").strip() for side in ("a", "b", "job"))
    if job and not a:
        a, b = await last_nights(site_of(request).journal, whole(job))
    if not a:
        return await _start(request, b)
    site = site_of(request)
    try:
        if not b:
            return await _choice(request, await open_run(site.journal, whole(a)))
        one, two = await comparable(site.journal, a, b)
    except NightproofError as error:
        status = 404 if isinstance(error, NotFound) else 400
        return await _start(request, b, a, status, error)
    if job or (a, b) != (one.name, two.name):
        return RedirectResponse(url("/drift", a=one.name, b=two.name), 303)
    answer = await comparisons(request).diff(one, two)
    return await _compared(request, site, (one, two), answer)


async def _start(
    request: Request, b: str, a: str = "", status: int = 200, error: NightproofError | None = None
) -> Response:
    reader = site_of(request).journal
    pairs = await newest_pairs(reader)
    rows = [row for row in [await reader.find(pair.b) for pair in pairs] if row is not None]
    known = {one.run: one for one in await memory_of(request).replicates.among(reader, rows)}
    return page(
        request, "drift_start.html", status, a=a, b=b, error=error, pairs=pairs, known=known,
        jobs=await reader.jobs(),
    )  # fmt: skip


async def _choice(request: Request, row: RunRow) -> Response:
    reader = site_of(request).journal
    near = await beside(reader, row)
    reproduce = run_command("reproduce --times 3", row.name)
    return page(
        request, "drift_choice.html", word=word, run=view(row), near=near, reproduce=reproduce
    )


async def _compared(
    request: Request, site: Site, rows: tuple[RunRow, RunRow], answer: Answer
) -> Response:
    a, b = rows
    found = answer.document
    kept: Explained | None = None
    shown: list[Cause] = []
    told: Values | None = None
    if found is not None:
        kept = await explained(site.journal, site.blobs, a, b)
        verdicts = kept.document if kept is not None else found
        shown = causes(verdicts) if found["drift"] else []
        first = found["firstDivergence"]
        told = values(first["values"]) if first is not None else None
    cause = (kept.document if kept else found or {}).get("cause")
    verdict = next((one.verdict for one in shown if one.name == cause), "")
    title = headline(found, cause, verdict) if found else ("", "")
    return page(
        request, "drift.html", a=view(a), b=view(b), contracts=(a.digest, b.digest),
        answer=answer, found=found, kept=kept, causes=shown, values=told,
        cause=cause, title=title,
        commands=[run_command("explain", a.name, b.name), run_command("diff", a.name, b.name),
                  run_command("env diff", a.name, b.name)],
        reproduce=run_command("reproduce --times 3", a.name),
    )  # fmt: skip


routes: list[BaseRoute] = [Route("/drift", drift)]

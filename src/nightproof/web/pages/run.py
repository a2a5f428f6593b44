"""One run: at a glance, a step's items, one item whole, the log."""

from __future__ import annotations

import json
import shlex
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from nightproof.errors import NotFound, UsageError
from nightproof.journal.records import RunRow
from nightproof.model import clock
from nightproof.views import open_run, view, word
from nightproof.views.actions import actions
from nightproof.views.grid import STATES, GridView, cell, grid, item, listed, raw
from nightproof.views.overview import Overview, overview
from nightproof.views.runs import shell
from nightproof.views.timeline import LOGS, log
from nightproof.views.usual import UsualView, usual
from nightproof.views.watch import History
from nightproof.web.rendering import cut, page, param, url
from nightproof.web.site import site_of
from nightproof.web.strip import progress, strip

ROWS = 50
LINES = 100
FEWEST = 10
"""With fewer items than these the table shows as much as a grid."""
INLINE = 2000
"""Up to so many cells come with the page; more are asked for by its script."""
PATIENCE_SECONDS = 0.08
"""So long runs of before are read for what is usual; the next look at a page goes on."""
_LONGEST_TEXT = 500


async def _opened(request: Request) -> RunRow:
    return await open_run(site_of(request).journal, param(request, "run"))


async def show(request: Request) -> Response:
    """A run at a glance."""
    row = await _opened(request)
    if row.name != param(request, "run"):
        return RedirectResponse(url("/runs/{}", row.name), 302)
    reader = site_of(request).journal
    found = await overview(reader, row)
    waiting = row.waiting if row.status == "parked" else ""
    return page(
        request, "run.html", run=found.run, found=found, course=found.course,
        strip=strip(found.course, waiting), progress=progress, acts=offered(row, found),
        usual=await _usual(request, row), word_of=word, decide=_deciding(row, found),
    )  # fmt: skip


def _deciding(row: RunRow, found: Overview) -> list[tuple[str, str]]:
    """What can be said of the first effect in doubt, each with its command."""
    key = next((one.key for one in found.effects if one.undecided), None)
    if found.status != "parked" or key is None:
        return []
    words = (("It happened", "--happened"), ("It did not", "--retry"))
    return [
        (label, shlex.join(("nightproof", "resolve", word, "--", row.name, key)))
        for label, word in words
    ]


async def _usual(request: Request, row: RunRow) -> UsualView | None:
    """The run beside the nights before it; a replicate or a child run is no night."""
    if row.replicate or row.parent is not None:
        return None
    state = request.app.state
    if not hasattr(state, "history"):
        state.history = History()
    until = clock.perf() + PATIENCE_SECONDS
    return await usual(site_of(request).journal, row, state.history, until)


def offered(row: RunRow, found: Overview) -> list[tuple[str, str, str]]:
    """What can be done with a run now: label, address and look of each button."""
    acts = [
        (one.label, url(f"/act/{one.act}", **one.query), "danger" if one.act == "cancel" else "")
        for one in actions(row)
    ]
    doubt = [one for one in found.effects if one.undecided]
    if found.status == "parked" and doubt:
        href = url("/act/resolve", run=row.name, effect=doubt[0].key)
        acts.insert(0, ("Decide about the effect", href, ""))
    if acts and found.status in ("failed", "interrupted", "parked") and not acts[0][2]:
        acts[0] = (*acts[0][:2], "primary")
    return acts


async def _grid(request: Request) -> tuple[RunRow, GridView]:
    row = await _opened(request)
    return row, await grid(site_of(request).journal, row, param(request, "step"))


def _number(request: Request, name: str) -> int | None:
    """A number from the query. Raises UsageError."""
    given = request.query_params.get(name, "")
    if not given:
        return None
    if not given.isascii() or not given.isdecimal() or len(given) > 15:
        raise UsageError(f"'{name}' in the address is no number", "Follow the links of the page.")
    return int(given)


async def step(request: Request) -> Response:
    """A step's items: all of them as a grid, and in a table."""
    row, seen = await _grid(request)
    reader, asked = site_of(request).journal, request.query_params
    index = _number(request, "at")
    if index is not None:
        seq = await cell(reader, row, seen, index)
        if seq is None:
            raise NotFound(
                f"item {index + 1} of step '{seen.step}' has no outcome yet",
                "The grid shows it as open until it has one.",
            )
        return RedirectResponse(url("/runs/{}/steps/{}/items/{}", row.name, seen.step, seq), 303)
    state, text = asked.get("state", ""), asked.get("q", "")[:_LONGEST_TEXT]
    state = state if state in STATES else ""
    after, before = _number(request, "after"), _number(request, "before")
    found = await listed(
        reader, row, seen, state=state, text=text, after=-1 if after is None else after,
        before=before, limit=ROWS,
    )  # fmt: skip
    here = {"state": state, "q": text}
    links = [
        None if at is None else url("/runs/{}/steps/{}", row.name, seen.step, **here, **{name: at})
        for name, at in (("before", found.before), ("after", found.after))
    ]
    run = view(row)
    return page(
        request, "run_step.html", run=run, word=word(run), seen=seen, found=found, state=state,
        text=text, links=links, cells=_cells(row, seen),
        brief=_brief,
    )  # fmt: skip


def _cells(row: RunRow, seen: GridView) -> dict[str, Any] | None:
    """What the grid on the page is drawn from; None where there is too little to see."""
    many = max(len(seen.states), seen.total or 0)
    if many < FEWEST:
        return None
    place = url("/runs/{}/steps/{}", row.name, seen.step)
    return {"total": many, "states": seen.states if many <= INLINE else None, "place": place}


def _brief(value: Any) -> str:
    """Arguments in one short line."""
    return "-" if value is None else cut(json.dumps(value, ensure_ascii=False), 60)


async def cells(request: Request) -> Response:
    """The letters of a grid."""
    _, seen = await _grid(request)
    return JSONResponse({"states": seen.states, "total": seen.total})


async def one(request: Request) -> Response:
    """One item whole."""
    row = await _opened(request)
    site = site_of(request)
    name, seq = param(request, "step"), int(request.path_params["seq"])
    found = await item(site.journal, site.blobs, row, seq, name)
    run = view(row)
    return page(request, "run_item.html", run=run, word=word(run), step=name, found=found)


async def output(request: Request) -> Response:
    """The bytes of an item's output, to be kept as a file and never to be shown."""
    row = await _opened(request)
    site = site_of(request)
    seq = int(request.path_params["seq"])
    data = await raw(site.journal, site.blobs, row, seq, param(request, "step"))
    if data is None:
        raise NotFound("nothing of this output is kept", "A secret step leaves none.")
    headers = {
        "Content-Disposition": f'attachment; filename="item-{seq}.json"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)


async def lines(request: Request) -> Response:
    """The log, from its end."""
    row = await _opened(request)
    what = request.query_params.get("what", "")
    what = what if what in LOGS else ""
    before = _number(request, "before")
    found = await log(site_of(request).journal, row, what=what, before=before, limit=LINES)
    run = view(row)
    older = None
    if found.before is not None:
        older = url("/runs/{}/log", row.name, what=what, before=found.before)
    newest = url("/runs/{}/log", row.name, what=what) if before is not None else None
    return page(
        request, "run_log.html", run=run, word=word(run), found=found, what=what, shell=shell,
        kinds=[(key, key or "everything") for key in LOGS], older=older, newest=newest,
    )  # fmt: skip


routes = [
    Route("/runs/{run}", show),
    Route("/runs/{run}/log", lines),
    Route("/runs/{run}/steps/{step}", step),
    Route("/runs/{run}/steps/{step}/cells", cells),
    Route("/runs/{run}/steps/{step}/items/{seq:int}", one),
    Route("/runs/{run}/steps/{step}/items/{seq:int}/output", output),
]

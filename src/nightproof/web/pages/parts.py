"""What surrounds a run: what it was given, worked on in, read and used."""

from __future__ import annotations

from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightproof.errors import BlobError, NotFound
from nightproof.journal.records import RunRow
from nightproof.provenance.snapshot.compare import brief
from nightproof.views import open_run, view, word
from nightproof.views.costs import costs
from nightproof.views.environment import EnvironmentView, compared, environment, surroundings
from nightproof.views.inputs import inputs
from nightproof.views.noted import BUDGET_SECONDS, Noted
from nightproof.views.witness import WitnessView, witness
from nightproof.web.pages.artifacts import FILE_POLICY, disposition, whole_number
from nightproof.web.rendering import page, param
from nightproof.web.site import site_of

ROWS = 200
KEPT = 64
"""Of so many runs what their events say is kept: a page that is live asks again and again."""
KEPT_READS = 4
_LARGEST_CONTRACT = 1 << 20


async def given(request: Request) -> Response:
    """``/runs/R/input``."""
    row = await _row(request)
    found = await inputs(site_of(request).journal, row, _noted(request, row), BUDGET_SECONDS)
    whole = found.size <= _LARGEST_CONTRACT
    return page(
        request, "run_input.html", run=view(row), word=word(view(row)), found=found, whole=whole
    )


async def contract(request: Request) -> Response:
    """``/runs/R/input/contract``: the contract as it is recorded, as a download."""
    row = await _row(request)
    headers = {
        "content-disposition": disposition(f"{row.name}.json"),
        "content-security-policy": FILE_POLICY,
        "x-frame-options": "DENY",
    }
    return Response(row.contract, headers=headers, media_type="application/json")


async def around(request: Request) -> Response:
    """``/runs/R/environment``, with ``?with=`` beside another run's."""
    site, row = site_of(request), await _row(request)
    found = await surroundings(site.journal, site.blobs, row, _noted(request, row), BUDGET_SECONDS)
    query = request.query_params
    sought, part, other = query.get("q", "")[:200], query.get("part", ""), query.get("with", "")
    items = [
        one
        for one in found.items
        if (not part or one.part == part) and sought.lower() in f"{one.item} {one.value}".lower()
    ]
    differs, trouble = None, ""
    if other:
        try:
            second = await open_run(site.journal, other[:2000])
            mine = await environment(site.journal, site.blobs, row)
            its = await environment(site.journal, site.blobs, second)
            differs, other = compared(mine, its), second.name
        except (NotFound, BlobError) as error:
            trouble = error.message
    return page(
        request, "run_environment.html", run=view(row), word=word(view(row)), found=found,
        items=items[:ROWS], count=len(items), counts=_counts(found), q=sought, part=part,
        other=other, differs=None if differs is None else differs[: 2 * ROWS],
        many=len(differs or ()), trouble=trouble, brief=brief,
    )  # fmt: skip


def _counts(found: EnvironmentView) -> dict[str, int]:
    return {p: sum(one.part == p for one in found.items) for p in ("strict", "numeric", "host")}


async def reads(request: Request) -> Response:
    """``/runs/R/reads``."""
    row = await _row(request)
    query = request.query_params
    sought, which = query.get("q", "")[:200], query.get("all", "")
    skip = whole_number(query.get("skip", ""))
    found: WitnessView | None = None
    trouble = ""
    try:
        found = await _witness(request, row)
    except NotFound as error:
        trouble = error.message
    except BlobError as error:
        trouble = f"the list of reads is gone: {error.message}"
    # Where nothing is undeclared, all of them are what there is to see.
    every = which == "1" or (not which and found is not None and not found.undeclared)
    listed = [
        one
        for one in (found.reads if found else ())
        if (every or one.undeclared) and sought.lower() in f"{one.name} {one.reader}".lower()
    ]
    return page(
        request, "run_reads.html", run=view(row), word=word(view(row)), found=found,
        trouble=trouble, reads=listed[skip : skip + ROWS], count=len(listed), skip=skip,
        rows=ROWS, q=sought, every=every,
    )  # fmt: skip


async def cost(request: Request) -> Response:
    """``/runs/R/cost``."""
    row = await _row(request)
    found = await costs(site_of(request).journal, row, _noted(request, row), BUDGET_SECONDS)
    return page(request, "run_cost.html", run=view(row), word=word(view(row)), found=found)


async def _row(request: Request) -> RunRow:
    return await open_run(site_of(request).journal, param(request, "run"))


async def _witness(request: Request, row: RunRow) -> WitnessView:
    """The reads of a run; kept as long as nothing happens to it, since they may be very many."""
    site, state = site_of(request), request.app.state
    if not hasattr(state, "witnessed"):
        state.witnessed = OrderedDict()
    kept: OrderedDict[tuple[object, ...], WitnessView] = state.witnessed
    key = (row.name, row.created, row.updated, row.status, row.attempts)
    if row.finished is None or key not in kept:
        kept[key] = await witness(site.journal, site.blobs, row)
        while len(kept) > KEPT_READS:
            kept.popitem(last=False)
    return kept[key]


def _noted(request: Request, row: RunRow) -> Noted:
    """What was read of the run's events so far."""
    state = request.app.state
    if not hasattr(state, "noted"):
        state.noted = OrderedDict()
    kept: OrderedDict[tuple[str, int], Noted] = state.noted
    found = kept.setdefault((row.name, row.created), Noted())
    kept.move_to_end((row.name, row.created))
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return found


routes: list[BaseRoute] = [
    Route("/runs/{run}/input", given),
    Route("/runs/{run}/input/contract", contract),
    Route("/runs/{run}/environment", around),
    Route("/runs/{run}/reads", reads),
    Route("/runs/{run}/cost", cost),
]

"""What concerns all runs: quotas, the ledger of effects, the audit trail."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nightproof.journal.listing import EffectFilter
from nightproof.limits import Quota
from nightproof.model.states import EffectState
from nightproof.views.audit import audits
from nightproof.views.ledger import DOUBTS, ledger, place
from nightproof.views.quotas import QuotaView, UseView, quotas
from nightproof.views.runs import open_run
from nightproof.views.trying import UNDECIDED
from nightproof.views.values import duration, whole
from nightproof.web.rendering import number, page, url
from nightproof.web.site import site_of

ROWS = 50
WAITING = 20
"""So many runs that wait for a quota are listed."""
_STATES = {
    "": (),
    "doubt": UNDECIDED,
    "confirmed": (EffectState.CONFIRMED,),
    "clear": (EffectState.CLEAR,),
    "skipped": (EffectState.SKIPPED,),
}
_EVERY = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", None: "a day"}


def natural(text: str | None) -> int:
    """A number in an address; 0 for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


async def effects(request: Request) -> Response:
    """The ledger, newest first: by state, by part of a key or name, of one run."""
    reader = site_of(request).journal
    asked = request.query_params
    state = asked.get("state", "") if asked.get("state", "") in _STATES else ""
    text, name = whole(asked.get("q", "")), asked.get("run", "")
    before = place(asked.get("before", ""))
    row = await open_run(reader, name) if name else None
    want = EffectFilter(row.id if row else None, _STATES[state], text, ROWS, before)
    shown = await ledger(reader, want)

    def at(before: str | None, state: str = state) -> str:
        return url("/effects", state=state, q=text, run=name, before=before)

    return page(
        request, "effects.html", shown=shown, most=DOUBTS, state=state, text=text, run=name,
        states=[(one, at(None, one)) for one in _STATES],
        newest=at(None) if before else None,
        older=None if shown.next is None else at(shown.next),
    )  # fmt: skip


def allowed(one: QuotaView, use: UseView) -> str:
    """What a part of an allowance is, in words."""
    seconds = next(each.seconds for each in _quota(one).allowances if each.what == use.what)
    every = _EVERY.get(seconds) or f"in {duration(seconds)}"
    if use.what == "money":
        return f"{number(use.cap)} {every} of money"
    return f"{number(use.cap)} {use.what.removesuffix(' a day')} {every}"


def day(one: QuotaView) -> str:
    """When the days of a quota begin; "" where no part of it is counted by days."""
    quota = _quota(one)
    return quota.resets if any(each.seconds is None for each in quota.allowances) else ""


def _quota(one: QuotaView) -> Quota:
    return one.quota


async def quota_list(request: Request) -> Response:
    """Every quota: what is used of it, until when it is parked, who waits."""
    shown = await quotas(site_of(request).journal)
    return page(request, "quotas.html", quotas=shown, allowed=allowed, day=day, most=WAITING)


async def audit_list(request: Request) -> Response:
    """What people had done, newest first; with `run` to one run."""
    asked = request.query_params
    run, before = asked.get("run", ""), natural(asked.get("before"))
    shown = await audits(site_of(request).journal, before=before or None, run=run or None)
    older = None if shown.next is None else url("/audit", run=run, before=shown.next)
    return page(request, "audit.html", shown=shown, run=run, before=before, older=older)


routes = [Route("/effects", effects), Route("/quotas", quota_list), Route("/audit", audit_list)]

"""What the API answers about jobs, nights and the whole store."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.requests import Request

from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter
from nightproof.journal.records import RunFilter
from nightproof.model import clock
from nightproof.model.states import EffectState
from nightproof.observe import Incident
from nightproof.views import documents, open_run
from nightproof.views.attention import attention as attention_of
from nightproof.views.audit import AuditPage, audits, whose
from nightproof.views.budgets import ENDED, BudgetDocument
from nightproof.views.comparison import DriftDocument
from nightproof.views.documents import nights as nightly
from nightproof.views.ledger import LedgerPage, ledger, place
from nightproof.views.nights import Calendar
from nightproof.views.nights import calendar as calendar_of
from nightproof.views.pairs import comparable
from nightproof.views.schedules import schedules as schedules_of
from nightproof.views.search import SearchView
from nightproof.views.search import search as search_for
from nightproof.views.values import whole
from nightproof.web.api.later import patiently, ready
from nightproof.web.api.parameters import EffectCursor, Id, JobName, RunName, text
from nightproof.web.comparing import comparisons
from nightproof.web.nights import memory_of
from nightproof.web.site import Site, site_of


async def jobs(site: Site) -> nightly.Jobs:
    """The jobs that have runs of their own, by name."""
    return await nightly.jobs(site.journal)


async def nights(
    request: Request,
    nights: Annotated[int, Field(ge=1, le=400, description="So many of the last.")] = 35,
    job: JobName | None = None,
    zone: Annotated[
        str, text("The IANA zone of jobs without a schedule; UTC where there is none.", 64)
    ] = "UTC",
) -> Calendar:
    """Nights as a calendar: for each job and date whether it ran, and as it should."""
    site = site_of(request)
    return await calendar_of(
        site.journal, nights=nights, job=job, zone=zone, late=site.settings.late,
        replicates=memory_of(request).replicates,
    )  # fmt: skip


async def schedules(
    site: Site,
    coming: Annotated[int, Field(ge=0, le=100, description="So many of the next times.")] = 3,
    past: Annotated[int, Field(ge=0, le=100, description="So many of the last times.")] = 7,
) -> nightly.Schedules:
    """Every schedule that was ever served: when it is due, what ran and what was missed."""
    found = await schedules_of(site.journal, late=site.settings.late, coming=coming, past=past)
    return nightly.Schedules(found)


async def attention(request: Request) -> nightly.Attention:
    """What needs a person, the most urgent first."""
    site = site_of(request)
    late, stall = site.settings.late, site.settings.stall
    known = memory_of(request).replicates
    found = await attention_of(site.journal, late=late, stall=stall, replicates=known)
    return nightly.Attention(found)


async def incidents(
    site: Site,
    days: Annotated[
        int, Field(ge=0, le=3650, description="And what was over in so many days.")
    ] = 7,
) -> nightly.Incidents:
    """What a watcher saw go wrong, and whether it is over."""
    rows = await site.journal.incidents(clock.now_ms() - days * 86_400_000)
    found = [nightly.IncidentView(**Incident.of(row).document()) for row in rows]
    return nightly.Incidents(found)


async def drift(
    request: Request,
    a: Annotated[str, text("A run's name, or a unique beginning of it.")],
    b: Annotated[
        str,
        text(
            "Another one, or a word: replicate (the newest of `a`), before (the night before "
            "`a`), original (what `a` repeats)."
        ),
    ],
) -> DriftDocument:
    """Two runs compared: where they part, and what may be the cause.

    A long comparison may take minutes: then the answer is 503 until it is made; ask again.
    """
    one, other = await comparable(site_of(request).journal, a, b)
    made = comparisons(request)
    document: DriftDocument = ready(await patiently(lambda: made.diff(one, other)))
    return document


async def budget(
    request: Request,
    job: JobName,
    latest: Annotated[bool, Field(description="Only the contract of its newest run.")] = False,
) -> BudgetDocument:
    """How often a job drifts, by the replicates on record.

    Many comparisons may take minutes: then the answer is 503 until they are made; ask again.
    """
    if not await site_of(request).journal.runs(RunFilter(job=job, status=ENDED, limit=1)):
        raise NotFound(f"no run of a job '{job}' has come to its end", "/api/jobs lists the jobs.")
    made = comparisons(request)
    document: BudgetDocument = ready(await patiently(lambda: made.budget(job, latest)))
    return document


async def environment_diff(
    site: Site,
    a: Annotated[str, text("A run's name, or a unique beginning of it.")],
    b: Annotated[str, text("Another one.")],
) -> documents.EnvironmentDiff:
    """What differs between the environments of two runs."""
    one, other = await open_run(site.journal, a), await open_run(site.journal, b)
    return await documents.environments(site.journal, site.blobs, one, other)


async def effects(
    site: Site,
    state: Annotated[
        list[EffectState] | None,
        Field(max_length=5, description="Only in one of these states."),
    ] = None,
    contains: Annotated[str | None, text("Only with this in their key or name.")] = None,
    run: RunName | None = None,
    before: EffectCursor | None = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 50,
) -> LedgerPage:
    """The ledger of effects over all runs, the newest first.

    By state or text it looks back for a short time; `backTo` says how far it came where that
    was not enough for a whole page, and `next` goes on.
    """
    row = await open_run(site.journal, run) if run is not None else None
    want = EffectFilter(
        row.id if row else None, tuple(state or ()), whole(contains or ""), limit,
        place(before or ""),
    )  # fmt: skip
    return await ledger(site.journal, want)


async def audit(
    site: Site,
    run: Annotated[
        str | None, text("Only what was done to this run; its whole name where it was removed.")
    ] = None,
    before: Annotated[Id | None, Field(description="Go on with older ones: `next`.")] = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 50,
) -> AuditPage:
    """What people had done: who, what, when, and what came of it; the newest first."""
    name = None if run is None else await whose(site.journal, run)
    return await audits(site.journal, limit=limit, before=before, run=name)


async def search(
    site: Site,
    q: Annotated[
        str,
        text(
            "Part of a run's name, of a job, of an effect's or an item's key; a field of "
            "contracts (`window.start=2026-11-20`); or sha256 digests.",
            2000,
        ),
    ],
    after: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9]{1,18}\.[0-9]{1,18}\.[0-9]{1,18}$",
            description="Go on further back: `next`.",
        ),
    ] = None,
) -> SearchView:
    """Runs, items, effects, contracts and delivered files, the newest first.

    It looks back for a short time and says how far it came; `next` goes on.
    """
    return await search_for(site.journal, q, after or "")


async def quotas(site: Site) -> documents.Quotas:
    """The shared quotas: what is used, until when they are parked, who waits."""
    return await documents.quotas(site.journal)

"""What the API answers about runs. A signature is the description: see endpoint.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request

from nightproof import views
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model.states import RunStatus
from nightproof.views import artifacts as delivered
from nightproof.views import documents
from nightproof.views.artifacts import ArtifactPage, ArtifactView
from nightproof.views.costs import CostView
from nightproof.views.costs import costs as costs_of
from nightproof.views.documents import parts
from nightproof.views.environment import EnvironmentView, surroundings
from nightproof.views.inputs import InputView, inputs
from nightproof.views.ledger import place
from nightproof.views.listing import RunPage
from nightproof.views.timeline import LogPage
from nightproof.views.timeline import log as log_page
from nightproof.views.verdicts import Verification
from nightproof.views.witness import WitnessView
from nightproof.web.api.aside import aside
from nightproof.web.api.later import patiently, ready
from nightproof.web.api.parameters import EffectCursor, Id, JobName, Moment, RunName, Seq, text
from nightproof.web.comparing import comparisons
from nightproof.web.site import Site, site_of


async def _row(site: Site, run: str) -> RunRow:
    return await views.open_run(site.journal, run)


async def runs(
    site: Site,
    job: JobName | None = None,
    status: Annotated[
        list[RunStatus] | None,
        Field(max_length=5, description="Only runs with one of these statuses."),
    ] = None,
    interrupted: Annotated[
        bool,
        Field(description="Only running ones that their process has left; whatever `status` says."),
    ] = False,
    contains: Annotated[
        str | None, text("Only runs with this in their name or in their contract.")
    ] = None,
    contract: Annotated[
        str | None,
        Field(
            pattern=r"^sha256:[0-9a-f]{64}$",
            description="Only runs of the contract with this digest.",
        ),
    ] = None,
    since: Annotated[Moment | None, Field(description="Only runs created then or later.")] = None,
    until: Annotated[Moment | None, Field(description="Only runs created before.")] = None,
    own: Annotated[bool, Field(description="Neither child runs nor replicates.")] = False,
    before: Annotated[Id | None, Field(description="Go on with older ones: `next`.")] = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 30,
) -> RunPage:
    """Runs, the newest first."""
    want = RunFilter(
        job=job, status=tuple(status or ()), limit=limit, since=since, until=until, before=before,
        own=own, digest=contract, text=contains or "",
    )  # fmt: skip
    return await documents.runs(site.journal, want, "interrupted" if interrupted else "")


async def run(site: Site, run: RunName) -> documents.Run:
    """Everything that is known of one run, but for its single steps.

    A run is named by its name or by a unique beginning of it, everywhere.
    """
    row = await _row(site, run)
    document: documents.Run = await aside(
        site, row, lambda reader: documents.run(reader, row, site.settings)
    )
    return document


async def steps(
    site: Site,
    run: RunName,
    step: Annotated[str | None, text("Only of this step.")] = None,
    failed: Annotated[bool, Field(description="Only what failed.")] = False,
    after: Annotated[Seq, Field(description="Go on behind this sequence number: `next`.")] = -1,
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 50,
) -> documents.Steps:
    """A run's steps, items, effects and child runs, in the order recorded."""
    row = await _row(site, run)
    return await documents.steps(
        site.journal, row, step=step, failed=failed, after=after, limit=limit
    )


async def grid(
    site: Site, run: RunName, step: Annotated[str, text("The step's name.")]
) -> parts.Grid:
    """The items of one step at a glance, a letter each."""
    return await parts.grid(site.journal, await _row(site, run), step)


async def items(
    site: Site,
    run: RunName,
    step: Annotated[str, text("The step's name.")],
    state: Annotated[
        Literal["done", "failed", "retried"] | None, Field(description="Only in this state.")
    ] = None,
    contains: Annotated[str | None, text("Only with this in their key or their inputs.")] = None,
    after: Annotated[
        Seq, Field(description="Those behind this sequence number. Not with `before`.")
    ] = -1,
    before: Annotated[
        Seq | None, Field(description="The last ones ahead of this sequence number.")
    ] = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 50,
) -> parts.Items:
    """Items of one step, by state and by what their key and inputs hold."""
    return await parts.items(
        site.journal, await _row(site, run), step, state=state or "", text=contains or "",
        after=after, before=before, limit=limit,
    )  # fmt: skip


async def item(
    site: Site,
    run: RunName,
    seq: Annotated[Seq, Field(description="Its sequence number.")],
) -> parts.Item:
    """One step or item with its output and the tries before it.

    Of a large output the beginning.
    """
    return await parts.item(site.journal, site.blobs, await _row(site, run), seq)


async def log(
    site: Site,
    run: RunName,
    limit: Annotated[int, Field(ge=1, le=10_000, description="Only the last so many.")] = 500,
) -> documents.Log:
    """What happened to a run: attempts, crashes, retries, waits, outcomes.

    `steps` has what it did besides.
    """
    row = await _row(site, run)
    document: documents.Log = await aside(
        site, row, lambda reader: documents.log(reader, row, steps=False, limit=limit)
    )
    return document


async def history(
    site: Site,
    run: RunName,
    what: Annotated[
        Literal[
            "failures",
            "retries",
            "decisions",
            "changes",
            "waits",
            "effects",
            "artifacts",
            "attempts",
        ]
        | None,
        Field(description="Only this."),
    ] = None,
    before: Annotated[
        Seq | None, Field(description="What is ahead of that: `before` of a page.")
    ] = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="About so many.")] = 100,
) -> LogPage:
    """The log of a run page by page, from its end.

    A page may be short and have more before it.
    """
    row = await _row(site, run)
    return await log_page(site.journal, row, what=what or "", before=before, limit=limit)


async def timeline(site: Site, run: RunName) -> parts.Timeline:
    """The course of a run: when what worked, waited, was tried again, and where it crashed."""
    return await parts.timeline(site.journal, await _row(site, run))


async def run_effects(
    site: Site,
    run: RunName,
    before: EffectCursor | None = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 100,
) -> parts.RunEffects:
    """The effects of a run, the newest first."""
    return await parts.effects(site.journal, await _row(site, run), place(before or ""), limit)


async def artifacts(
    site: Site,
    run: RunName,
    skip: Annotated[int, Field(ge=0, le=10**9, description="Leave out so many: `next`.")] = 0,
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many.")] = 100,
) -> ArtifactPage:
    """What a run delivered, and what is there of it on the dashboard's machine."""
    return await delivered.artifacts(site.journal, await _row(site, run), skip, limit)


async def artifact(
    site: Site, run: RunName, n: Annotated[Seq, Field(description="Its number: `n`.")]
) -> ArtifactView:
    """One file that a run delivered."""
    return await delivered.artifact(site.journal, await _row(site, run), n)


async def verification(request: Request, run: RunName) -> Verification:
    """The files of a completed run, checked against their manifests and the journal.

    A long check may take minutes: then the answer is 503 until it is made; ask again.
    """
    row = await _row(site_of(request), run)
    made = comparisons(request)
    document: Verification = ready(await patiently(lambda: made.verify(row)))
    return document


async def contract(site: Site, run: RunName) -> InputView:
    """What a run was given: its contract, and the datasets, prompts and models it names."""
    return await inputs(site.journal, await _row(site, run))


async def environment(site: Site, run: RunName) -> documents.Environment:
    """The environment of a run's last attempt, item by item."""
    return await documents.environment(site.journal, site.blobs, await _row(site, run))


async def environments(site: Site, run: RunName) -> EnvironmentView:
    """All environments that a run was worked on in, and what had changed between attempts."""
    return await surroundings(site.journal, site.blobs, await _row(site, run))


async def reads(
    site: Site,
    run: RunName,
    all_: Annotated[bool, Field(description="What is declared too.")] = False,
) -> WitnessView:
    """What a run read that neither its contract nor the settings declare."""
    return await documents.reads(site.journal, site.blobs, await _row(site, run), every=all_)


async def cost(site: Site, run: RunName) -> CostView:
    """What a run used: time, tokens, money and answers of models, as far as it is on record."""
    row = await _row(site, run)
    document: CostView = await aside(site, row, lambda reader: costs_of(reader, row))
    return document

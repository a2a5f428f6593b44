"""Telling a run that Temporal has: into the journal first, then a poke for its workflow."""

from __future__ import annotations

from contextlib import suppress

from nightproof import app
from nightproof.cli.session import note
from nightproof.config import Settings
from nightproof.errors import AlreadyRunning, EngineError
from nightproof.journal.protocol import Journal
from nightproof.journal.records import LOST, Finish, LaneBatch, Owner, RunRow, Wanted
from nightproof.model import clock, identity
from nightproof.model.states import RunStatus


def is_there(row: RunRow) -> bool:
    """Whether a workflow has the run."""
    return row.owner is not None and row.owner.is_workflow


async def tell(journal: Journal, settings: Settings, row: RunRow, cancel: bool = False) -> RunRow:
    """Have the run's workflow heed what is in the journal; the row as it is then.

    Where Temporal has lost the workflow, the run is given back: whoever resumes it goes
    on with what is on record. A server that is away is no error: what was told is on record;
    workflows look for signals and decisions by themselves every few minutes, and workers for
    cancellations.
    """
    from nightproof.engines.temporal import control
    from nightproof.engines.temporal.connection import connect

    app.require_temporal()
    try:
        connection = await connect(settings, app.open_blobs(settings))
        act = control.cancel if cancel else control.poke
        if await act(connection, row.name):
            return row
    except EngineError as error:
        then = "it is kept in the journal until the server is back"
        if cancel:
            then += ", and a worker heeds it then"
        note(f"nightproof: {error.message}: {then}")
        return row
    return await give_back(journal, row)


async def cancel_unbegun(settings: Settings, name: str) -> bool:
    """Cancel a run that Temporal has and that is not at work by the journal; whether it has it."""
    from nightproof.engines.temporal import control
    from nightproof.engines.temporal.connection import connect

    app.require_temporal()
    return await control.cancel(await connect(settings, app.open_blobs(settings)), name)


async def take_back(journal: Journal, settings: Settings, row: RunRow) -> RunRow:
    """Free a run whose workflow Temporal has lost. Raises AlreadyRunning where it has it."""
    from nightproof.engines.temporal import control
    from nightproof.engines.temporal.connection import connect

    app.require_temporal()
    connection = await connect(settings, app.open_blobs(settings))
    if await control.lives(connection, row.name):
        raise AlreadyRunning(
            f"run {row.name} is on {control.label(row.name)}",
            f"Workers carry it on: `nightproof watch {row.name}`. `nightproof cancel {row.name}` "
            "ends it there; then it can go on elsewhere.",
            run=row.name,
        )
    return await give_back(journal, row)


async def free_if_lost(settings: Settings, row: RunRow) -> None:
    """Give a run back whose workflow Temporal has lost; nothing where that cannot be known now."""
    journal = app.open_journal(settings)
    try:
        with suppress(EngineError, AlreadyRunning):
            await take_back(journal, settings, row)
    finally:
        await journal.close()


async def give_back(journal: Journal, row: RunRow) -> RunRow:
    """Take a run from a workflow that is no more, so that anybody can resume it."""
    now = await journal.find(row.name)
    if now is None or now.owner != row.owner or now.token != row.token:
        return now or row  # it has ended meanwhile, or goes on elsewhere
    want = Wanted(
        row.job, row.digest, row.contract, row.replicate, row.target, row.code, row.parent,
        row.options,
    )  # fmt: skip
    claimed = await journal.claim(want, Owner(identity.here(), 0, 30_000), takeover=row.token)
    if not claimed.owned:  # somebody was quicker, or it is over
        return claimed.run
    status = row.status if row.status is RunStatus.PARKED else RunStatus.RUNNING
    done = Finish(status, clock.now_ms(), LOST, wake=row.wake, waiting=row.waiting)
    answer = journal.commit([LaneBatch(row.id, claimed.run.token, (), (done,))])
    if not isinstance(answer, frozenset):
        await answer
    note(
        f"nightproof: Temporal has no workflow of run {row.name} any more; "
        f"`nightproof resume {row.name}` goes on with what is on record"
    )
    found = await journal.find(row.name)
    return found if found is not None else claimed.run

"""What workers try again and again: said in a line, by the worker and to who follows the run."""

from __future__ import annotations

import asyncio
import logging

from temporalio.exceptions import ApplicationError
from tests.temporal.conftest import LOOK_SECONDS, PATIENCE_SECONDS

from nightproof import Contract, artifact, job
from nightproof.engines.temporal import control
from nightproof.engines.temporal.messages import OUTAGE
from nightproof.engines.temporal.remarks import speak_plainly
from nightproof.errors import StoreFull


class Note(Contract):
    """A contract."""

    task: str = "note"


@job
async def writes(contract: Note) -> None:
    """Deliver one file."""
    await artifact("note.txt", "a note")


def test_who_follows_a_run_hears_what_is_tried_again(world):
    """Artifacts that cannot be written are an outage: the message says which and why."""
    in_the_way = world.folder / "taken"
    in_the_way.write_text("no folder")
    world.given["artifacts"] = str(in_the_way / "artifacts")

    async def act() -> None:
        async with world, world.worker(writes):
            begun = await world.begin(writes, Note())
            name = begun.handle.id.partition("/")[2]
            found: list[str] = []
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not found:
                    found = await control.troubles(world.connection, name)
                    await asyncio.sleep(LOOK_SECONDS)
            assert len(found) == 1
            assert "\n" not in found[0]
            assert found[0].startswith("nightproof.artifact: ")
            assert "note.txt" in found[0]
            in_the_way.unlink()
            await begun.handle.result()
            assert await control.troubles(world.connection, name) == []
        assert await control.troubles(world.connection, "no-such-run") == []

    asyncio.run(act())


def test_a_foreseen_error_is_one_line_of_the_log(caplog):
    """Its traceback is left out; one of an error that nobody foresaw stays."""
    speak_plainly()
    speak_plainly()
    log = logging.getLogger("temporalio.activity")
    assert len(log.filters) == 1
    full = StoreFull("the artifact a.txt cannot be written: no space", "Free some space.")
    outage = ApplicationError("as above", type=OUTAGE)
    outage.__cause__ = full
    about = {"temporal_activity": {"activity_type": "fetch", "workflow_id": "nightproof/x-1"}}
    for error in (outage, KeyError("unforeseen")):
        log.warning("Completing activity as failed", exc_info=error, extra=about)
    plain, other = caplog.records
    assert plain.getMessage() == (
        "nightproof: fetch of nightproof/x-1: the artifact a.txt cannot be written: no space. "
        "Free some space; Temporal has it tried again"
    )
    assert plain.exc_info is None
    assert other.exc_info is not None

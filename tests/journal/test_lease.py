"""Who owns a run, and whether it may be taken over."""

import pytest

from nightproof.journal.lease import Possession, possession
from nightproof.journal.records import Finish, Owner, Wanted
from nightproof.model import clock
from nightproof.model.identity import ProcessIdentity, here, is_dead
from nightproof.model.states import RunStatus

WORKFLOW = ProcessIdentity("temporal:nightproof/main-0123456789", 0, 1_700_000_000_000)


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (WORKFLOW, Possession.LIVE),
        (here(), Possession.DOUBTFUL),
        (here()._replace(started=1), Possession.DEAD),
    ],
)
def test_a_workflow_without_heartbeat_is_live(night, process, expected):
    """Long after its lease; a process is doubtful then, or dead."""

    async def test(app):
        owner = Owner(process, 1, 1000)
        row = (await app.journal.claim(Wanted("main", "sha256:1", b"{}"), owner)).run
        assert possession(row, clock.now_ms() + 10**9, 1000) is expected
        if expected is Possession.LIVE:
            assert await app.journal.request_cancel(row.id) is False
            assert await app.journal.cancelled([row.id]) == {row.id}

    night.ask(test)


def test_nobody_owns_a_run_that_has_ended(night):
    """Also where a workflow ended it."""

    async def test(app):
        row = (
            await app.journal.claim(Wanted("main", "sha256:1", b"{}"), Owner(WORKFLOW, 1, 1000))
        ).run
        lane = app.engine.commits.shared_lane(row.id, row.token)
        await lane.put(Finish(RunStatus.FAILED, 5, "failed", error=b"{}"))
        row = await app.journal.find(row.name)
        assert possession(row, clock.now_ms(), 1000) is Possession.NOBODY

    night.ask(test)


def test_a_workflow_is_named_as_what_it_is():
    """Not as a process with the number 0."""
    assert WORKFLOW.label == "Temporal (workflow nightproof/main-0123456789)"
    assert not is_dead(WORKFLOW)

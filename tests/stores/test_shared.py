"""Runs that several processes write under one token: one outcome for each fingerprint."""

import asyncio
import shutil
from pathlib import Path

import pytest

from nightproof import job, step
from nightproof.app import open_reader
from nightproof.config import Settings
from nightproof.errors import LeaseLost
from nightproof.journal.records import (
    CodeRow,
    Entry,
    Finish,
    Forget,
    LaneBatch,
    Owner,
    Pause,
    RunFilter,
    Settle,
    UseBlob,
    Wanted,
    checksum,
)
from nightproof.model import identity
from nightproof.model.states import EffectState, Kind, RunStatus

GOLDEN = Path(__file__).parents[1] / "golden"
OWNER = Owner(identity.here(), 1, 30_000)


def entry(run, fp, output=b"1", kind=Kind.RESULT, seq=-1):
    """An entry as a worker writes it: it does not know the numbers of the others."""
    return Entry(run, seq, kind, 7, fp, 1000, 5, b"[]", output, None, checksum(fp, output, None))


async def commit(journal, *args, shared=True, writes=()):
    """What is refused of a commit of the given entries under the run's token."""
    (run, token), entries = args[0], args[1:]
    answer = journal.commit([LaneBatch(run, token, entries, writes, shared)])
    return answer if isinstance(answer, frozenset) else await answer


async def begin(journal, digest="sha256:1"):
    """A run and its token."""
    row = (await journal.claim(Wanted("main", digest, b"{}"), OWNER)).run
    return row.id, row.token


def on(night, test):
    """Run a test of the journal of an app."""
    return night.ask(lambda app: test(app.journal))


def test_the_first_outcome_of_a_fingerprint_stays(night):
    """The second one is left out, in the same commit or a later one; numbers have no gap."""

    async def test(journal):
        run = await begin(journal)
        await journal.share(*run, False)
        assert await commit(journal, run, entry(run[0], b"a"), entry(run[0], b"a", b"2")) == set()
        await commit(journal, run, entry(run[0], b"a", b"3"), entry(run[0], b"b", b"4"))
        found = await journal.entries(run[0])
        assert [(one.seq, one.fp, one.output) for one in found] == [
            (0, b"a", b"1"),
            (1, b"b", b"4"),
        ]
        told = await journal.recorded(run[0], [b"a", b"b", b"c"])
        assert told == {b"a": found[0], b"b": found[1]}

    on(night, test)


def test_what_is_no_outcome_is_always_written(night):
    """Waits, undoing, retries, log lines: as often as they are told."""

    async def test(journal):
        run = await begin(journal)
        await journal.share(*run, False)
        kinds = (Kind.WAIT, Kind.UNDONE, Kind.RETRY, Kind.REOPENED)
        for _ in range(2):
            await commit(journal, run, *(entry(run[0], b"a", b"1", kind) for kind in kinds))
            await commit(journal, run, entry(run[0], b"", b"{}", Kind.EVENT))
        assert len(await journal.entries(run[0])) == 10
        assert await journal.recorded(run[0], [b"a", b""]) == {}
        await commit(journal, run, entry(run[0], b"a"))
        assert list(await journal.recorded(run[0], [b"a"])) == [b"a"]

    on(night, test)


def test_sharing_lists_what_is_on_record(night):
    """The first of each fingerprint; after a reopening failures and the undone are open again."""

    async def test(journal):
        run = await begin(journal)
        history = [
            (b"a", Kind.RESULT), (b"f", Kind.FAILURE), (b"u", Kind.RESULT), (b"u", Kind.UNDONE),
            (b"w", Kind.WAIT), (b"", Kind.EVENT), (b"", Kind.REOPENED), (b"f", Kind.RESULT),
            (b"g", Kind.FAILURE),
        ]  # fmt: skip
        own = [entry(run[0], fp, b"%d" % n, kind, n) for n, (fp, kind) in enumerate(history)]
        await commit(journal, run, *own, shared=False)
        fps = [b"a", b"f", b"u", b"w", b"g", b""]
        for _ in range(2):
            await journal.share(*run, False)
            found = await journal.recorded(run[0], fps)
            assert {fp: one.seq for fp, one in found.items()} == {b"a": 0, b"f": 7, b"g": 8}
        await journal.share(*run, True)
        found = await journal.recorded(run[0], fps)
        assert {fp: one.seq for fp, one in found.items()} == {b"a": 0, b"f": 7}
        await commit(journal, run, entry(run[0], b"g", b"now"))
        assert (await journal.recorded(run[0], [b"g"]))[b"g"].seq == 9

    on(night, test)


def test_sharing_and_shared_commits_are_fenced(night):
    """Another token than the run's writes nothing, and the writes beside it neither."""

    async def test(journal):
        run = await begin(journal)
        await journal.share(*run, False)
        stale = (run[0], run[1] + 1)
        with pytest.raises(LeaseLost):
            await journal.share(*stale, False)
        code = CodeRow(7, "work", "3.11:0")
        assert await commit(journal, stale, entry(run[0], b"a"), writes=[code]) == {run[0]}
        assert await journal.entries(run[0]) == []
        assert await journal.codes([7]) == {}
        await commit(journal, run, entry(run[0], b"a"), writes=[code])
        assert await journal.codes([7]) == {7: code}

    on(night, test)


def test_writes_of_a_shared_commit_go_with_it(night):
    """An effect is settled in the commit of its entry."""

    async def test(journal):
        from nightproof.journal.records import EffectRow

        run = await begin(journal)
        await journal.share(*run, False)
        row = EffectRow("k", "act", run[0], EffectState.INTENDED, b"d", b"[]", 1, 5, None, None, "")
        assert (await journal.intend(LaneBatch(*run, shared=True), row))[1]
        settle = Settle("k", EffectState.CONFIRMED, 9, b"1")
        await commit(journal, run, entry(run[0], b"e", b"1", Kind.EFFECT), writes=[settle])
        assert (await journal.effect("k")).state is EffectState.CONFIRMED

    on(night, test)


def test_an_outcome_that_is_forgotten_can_be_written_again(night):
    """Only by whoever means the entry that is the outcome now: a late writer forgets nothing."""

    async def test(journal):
        run = await begin(journal)
        await journal.share(*run, False)
        await commit(journal, run, entry(run[0], b"a"), entry(run[0], b"b"))
        await commit(journal, run, writes=[Forget(b"a", 1), Forget(b"b", 7)])
        assert (await journal.recorded(run[0], [b"a"]))[b"a"].output == b"1"
        await commit(journal, run, writes=[Forget(b"a", 0)])
        await commit(journal, run, entry(run[0], b"a", b"2"), entry(run[0], b"b", b"2"))
        await commit(journal, run, writes=[Forget(b"a", 0)])
        found = await journal.recorded(run[0], [b"a", b"b"])
        assert (found[b"a"].output, found[b"b"].output) == (b"2", b"1")

    on(night, test)


def test_a_run_that_waits_keeps_its_owner(night):
    """It shows what it waits for, and that it goes on; one without owner stays as it is."""

    async def test(journal):
        run = await begin(journal)
        await commit(journal, run, writes=[Pause(7, "a signal", 99)])
        (row,) = await journal.runs(RunFilter())
        assert (str(row.status), row.waiting, row.wake) == ("parked", "a signal", 99)
        assert row.owner == OWNER.process
        await commit(journal, run, writes=[Pause(8, "")])
        (row,) = await journal.runs(RunFilter())
        assert (str(row.status), row.waiting, row.wake) == ("running", "", None)
        await commit(journal, run, writes=[Finish(RunStatus.COMPLETED, 9, "completed")])
        await commit(journal, run, writes=[Pause(10, "too late")])
        assert (await journal.runs(RunFilter()))[0].status is RunStatus.COMPLETED

    on(night, test)


def test_two_writers_leave_one_outcome(night):
    """Both hand in the same hundred outcomes at once: a hundred entries, without a gap."""

    async def main():
        apps = [night.app(), night.app()]
        try:
            run = await begin(apps[0].journal)
            await apps[0].journal.share(*run, False)

            async def write(journal, name):
                for n in range(0, 100, 10):
                    batch = [entry(run[0], b"%d" % (n + m), name) for m in range(10)]
                    await commit(journal, run, *batch)

            await asyncio.gather(write(apps[0].journal, b"1"), write(apps[1].journal, b"2"))
            found = await apps[0].journal.entries(run[0])
            assert [one.seq for one in found] == list(range(100))
            assert len({one.fp for one in found}) == 100
        finally:
            for app in apps:
                await app.close()

    asyncio.run(main())


def test_collection_takes_the_list_along(night, night_contract):
    """A run of the same number would otherwise find outcomes of another."""

    @step
    async def work(n: int) -> int:
        return n

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await work(1)

    name = night.run(main).name

    async def test(journal):
        row = await journal.find(name)
        other = await begin(journal)
        await journal.share(*other, False)
        await commit(journal, other, entry(other[0], b"a"))
        await journal.retain(2**62, 0, None, False)
        assert await journal.find(name) is None
        assert await journal.recorded(row.id, [b"a"]) == {}
        assert list(await journal.recorded(other[0], [b"a"])) == [b"a"]

    on(night, test)


def test_an_older_journal_that_is_only_read_has_no_shared_runs(tmp_path):
    """Reading brings nothing forward, and does not stumble over a table that is not there."""
    shutil.copytree(GOLDEN / "v4", tmp_path, dirs_exist_ok=True)
    reader = open_reader(Settings(store=f"sqlite:///{tmp_path / 'journal.db'}"))
    assert asyncio.run(reader.recorded(1, [b"a"])) == {}


def test_an_outcome_that_was_damaged_is_replaced(night):
    """It is not handed out, and the step that ran again for it may write another."""

    async def test(journal):
        run = await begin(journal)
        await journal.share(*run, False)
        await commit(journal, run, entry(run[0], b"a"))
        if night.url.startswith("sqlite"):
            journal._db.execute("UPDATE entry SET output = x'00'")
        else:
            await journal._session.once(lambda own: own.run("UPDATE entry SET output = ''"))
        assert await journal.recorded(run[0], [b"a"]) == {}
        await commit(journal, run, entry(run[0], b"a", b"2"))
        found = (await journal.recorded(run[0], [b"a"]))[b"a"]
        assert (found.seq, found.output) == (1, b"2")

    on(night, test)


def test_blobs_of_a_run_that_another_works_on(night):
    """Noted without a token, so that they are not collected; not where there is no such run."""

    async def test(journal):
        await begin(journal)
        name = (await journal.runs(RunFilter()))[0].name
        assert await journal.refer(name, [UseBlob("sha256:1", 9)])
        assert await journal.refer(name, [UseBlob("sha256:1", 9), UseBlob("sha256:2", 9)])
        assert not await journal.refer("other", [UseBlob("sha256:3", 9)])
        asked = [f"sha256:{n}" for n in range(5)]
        assert await journal.referenced(asked) == {"sha256:1", "sha256:2"}

    on(night, test)

"""Group commit: one sync for what is ready together, and the truth about what is on disk."""

import asyncio

import pytest

from nightproof.errors import LeaseLost, StoreFull
from nightproof.journal.commit import Answer, GroupCommit
from nightproof.journal.records import event


class Journal:
    """Remembers commits; may be slow, fail, or refuse runs."""

    def __init__(self, slow=False):
        self.commits, self.slow = [], slow
        self.error, self.refused = None, frozenset()

    def commit(self, batches):
        if self.error:
            raise self.error
        self.commits.append([[entry.seq for entry in batch.entries] for batch in batches])
        return self._later() if self.slow else self.refused

    async def _later(self):
        await asyncio.sleep(0.01)
        return self.refused


def entry(lane):
    return event(lane.run, lane.next_seq(), 0, b"{}")


@pytest.mark.parametrize("slow", [False, True])
def test_what_is_ready_together_is_committed_together(slow):
    """Sixty-four items of two runs in one turn of the loop: one commit, in order."""

    async def main():
        journal = Journal(slow)
        commits = GroupCommit(journal, asyncio.get_running_loop())
        one, two = commits.lane(1, 1, -1), commits.lane(2, 1, 9)
        await asyncio.gather(*(lane.append(entry(lane)) for lane in [one, two] * 32))
        return journal.commits

    assert asyncio.run(main()) == [[list(range(32)), list(range(10, 42))]]


def test_what_arrives_during_a_commit_goes_with_the_next():
    """A store that takes its time is not asked twice at once."""

    async def main():
        journal = Journal(slow=True)
        commits = GroupCommit(journal, asyncio.get_running_loop())
        lane = commits.lane(1, 1, -1)
        first = lane.append(entry(lane))
        await asyncio.sleep(0.005)
        rest = [lane.append(entry(lane)) for _ in range(3)]
        assert not first.done()
        await asyncio.gather(first, *rest)
        return journal.commits

    assert asyncio.run(main()) == [[[0]], [[1, 2, 3]]]


def test_lazy_entries_are_written_soon_and_before_what_follows():
    """Nobody waits for them; they come in order with the next commit, or on their own."""

    async def main():
        journal = Journal()
        commits = GroupCommit(journal, asyncio.get_running_loop())
        lane = commits.lane(1, 1, -1)
        lane.later(entry(lane))
        lane.later(entry(lane))
        await lane.append(entry(lane))
        lane.later(entry(lane))
        await asyncio.sleep(0.1)
        return journal.commits

    assert asyncio.run(main()) == [[[0, 1, 2]], [[3]]]


def test_a_refused_run_learns_of_it_and_its_neighbour_does_not():
    """The fenced-off lane breaks for good; the other goes on."""

    async def main():
        journal = Journal()
        journal.refused = frozenset({1})
        commits = GroupCommit(journal, asyncio.get_running_loop())
        one, two = commits.lane(1, 1, -1), commits.lane(2, 1, -1)
        futures = one.append(entry(one)), two.append(entry(two))
        with pytest.raises(LeaseLost):
            await futures[0]
        await futures[1]
        with pytest.raises(LeaseLost):
            await one.append(entry(one))
        await two.append(entry(two))

    asyncio.run(main())


def test_a_failed_commit_is_told_to_everybody_who_waits():
    """Nobody takes an unwritten entry for written."""

    async def main():
        journal = Journal()
        journal.error = StoreFull("full")
        commits = GroupCommit(journal, asyncio.get_running_loop())
        lane = commits.lane(1, 1, -1)
        futures = [lane.append(entry(lane)) for _ in range(3)]
        found = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(each) for each in found] == [StoreFull] * 3

    asyncio.run(main())


def test_a_cancelled_waiter_does_not_cancel_the_commit():
    """Its neighbours are acknowledged all the same."""

    async def main():
        journal = Journal(slow=True)
        commits = GroupCommit(journal, asyncio.get_running_loop())
        lane = commits.lane(1, 1, -1)

        async def wait():
            await lane.append(entry(lane))
            return "written"

        tasks = [asyncio.create_task(wait()) for _ in range(3)]
        await asyncio.sleep(0.002)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == ["written", "written"]
        assert journal.commits == [[[0, 1, 2]]]

    asyncio.run(main())


def test_the_answer_of_a_server_is_heard_in_the_turn_that_it_comes_in():
    """A step that runs alone is sent at once, and goes on in the next turn of the loop."""

    class Server:
        commits_inline = False

        def __init__(self):
            self.sent = []

        def commit(self, batches):
            self.sent.append((batches, Answer(loop=asyncio.get_running_loop())))
            return self.sent[-1][1]

    async def main():
        server = Server()
        commits = GroupCommit(server, asyncio.get_running_loop())
        lane = commits.lane(1, 1, -1)
        first = lane.append_alone(entry(lane))
        assert len(server.sent) == 1
        second = lane.append_alone(entry(lane))
        assert len(server.sent) == 1
        server.sent[0][1].set_result(frozenset())
        assert first.done()
        assert not second.done()
        await asyncio.sleep(0)
        assert [one.seq for one in server.sent[1][0][0].entries] == [1]
        server.sent[1][1].set_exception(StoreFull("full"))
        with pytest.raises(StoreFull):
            await second

    asyncio.run(main())


@pytest.mark.parametrize("slow", [False, True])
def test_an_older_owner_does_not_take_the_newer_one_down(slow):
    """Two owners of one run in one process: only the older one loses its lease."""

    async def main():
        journal = Journal(slow)
        commits = GroupCommit(journal, asyncio.get_running_loop())
        old, new = commits.lane(1, 1, -1), commits.lane(1, 2, 9)
        given = old.append(entry(old)), new.append(entry(new))
        return await asyncio.gather(*given, return_exceptions=True), journal.commits, new.broken

    (first, second), commits, broken = asyncio.run(main())
    assert isinstance(first, LeaseLost)
    assert second is None
    assert broken is None
    assert commits == [[[10]]]

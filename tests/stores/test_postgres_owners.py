"""The journal on Postgres: who owns a run, and who is woken."""

import asyncio

import psycopg
import pytest
from postgres_acts import ELSEWHERE, WANT, begin, entry, raw, use

from nightproof.errors import StoreError
from nightproof.journal.lease import Possession, possession
from nightproof.journal.records import LaneBatch, RunFilter
from nightproof.model import clock
from nightproof.stores.postgres import PostgresJournal, beating

# who owns a run


def test_one_of_two_claims_wins(postgres_schema):
    """Both at once, twenty times: one owns the run, the other is told who does."""
    url = postgres_schema()

    async def main():
        journals = [PostgresJournal(url) for _ in range(2)]
        for n in range(20):
            want = WANT._replace(digest=f"sha256:{n}")
            both = await asyncio.gather(*(one.claim(want, ELSEWHERE) for one in journals))
            assert sorted(claimed.owned for claimed in both) == [False, True]
            assert {claimed.run.token for claimed in both} == {1}
        numbers = await asyncio.gather(
            *(one.claim(WANT._replace(replicate=-1), ELSEWHERE) for one in journals * 5)
        )
        assert sorted(claimed.run.replicate for claimed in numbers) == list(range(1, 11))
        for journal in journals:
            await journal.close()

    asyncio.run(main())


def test_a_commit_waits_for_a_takeover_that_is_under_way(postgres_schema):
    """The token is read under the lock: what comes behind a takeover is refused."""
    url = postgres_schema()
    schema = url.rpartition("schema=")[2]

    async def act(journal):
        run = await begin(journal)
        other = await psycopg.AsyncConnection.connect(url.partition("?")[0])
        await other.execute(f"UPDATE {schema}.run SET token = token + 1")
        commits = [
            journal.commit([LaneBatch(*run, [entry(run[0], 0)])]),
            asyncio.ensure_future(journal.last_seq(run[0])),
        ]
        done, _ = await asyncio.wait(commits, timeout=0.2)
        assert not done
        await other.commit()
        await other.close()
        assert await commits[0] == {run[0]}
        assert await commits[1] == -1

    use(url, act)


@pytest.mark.parametrize("wrong", [-3600, 3600])
def test_a_wrong_clock_does_not_take_a_lease_away(postgres_schema, monkeypatch, wrong):
    """The database's clock decides; this machine's may be an hour off."""
    url = postgres_schema()
    wall = clock.now_ms()
    use(url, begin)
    monkeypatch.setattr(clock, "now_ms", lambda: wall + wrong * 1000)

    async def judged(journal):
        [row] = await journal.runs(RunFilter())
        return possession(row, clock.now_ms(), ELSEWHERE.lease_ms)

    assert use(url, judged) is Possession.LIVE
    raw(url, "UPDATE run SET lease_until = lease_until - 60000")
    assert use(url, judged) is Possession.DOUBTFUL


def test_heartbeats_extend_leases_and_notice_takeovers(postgres_schema):
    """From another thread, on a connection of their own; a lost one is made again."""
    url = postgres_schema()

    async def act(journal):
        run, token = await begin(journal)
        before = (await journal.runs(RunFilter()))[0]
        assert await asyncio.to_thread(journal.pulse, {run: token, 99: 1}, 90_000) == {99}
        after = (await journal.runs(RunFilter()))[0]
        assert after.beat == before.beat + 1
        assert after.lease_until > before.lease_until + 30_000
        raw(url, "UPDATE run SET token = token + 1")
        assert await asyncio.to_thread(journal.pulse, {run: token}, 90_000) == {run}
        kill = "SELECT pg_terminate_backend(%s)"
        raw(url, kill, journal._beats._session.link.raw.backend_pid)
        with pytest.raises(StoreError, match="heartbeat"):
            await asyncio.to_thread(journal.pulse, {run: token + 1}, 90_000)
        assert await asyncio.to_thread(journal.pulse, {run: token + 1}, 90_000) == frozenset()

    use(url, act)


def test_a_heartbeat_gives_up_in_time(postgres_schema, monkeypatch):
    """A server that keeps silent holds up nobody who waits for the thread."""
    monkeypatch.setattr(beating, "PULSE_SECONDS", 0.2)
    url = postgres_schema()

    async def act(journal):
        run, token = await begin(journal)
        holder = await psycopg.AsyncConnection.connect(url.partition("?")[0])
        schema = url.rpartition("schema=")[2]
        await holder.execute(f"SELECT 1 FROM {schema}.run FOR UPDATE")
        with pytest.raises(StoreError, match="heartbeat"):
            await asyncio.to_thread(journal.pulse, {run: token}, 90_000)
        await holder.close()

    use(url, act)


# wake-ups


def test_signals_and_cancellations_are_heard_at_once(postgres_schema):
    """By notification: nothing is asked until there is something to be told."""
    url = postgres_schema()

    async def main():
        owner, other = PostgresJournal(url), PostgresJournal(url)
        heard = asyncio.Event()
        owner.hear(heard.set)
        run, _ = await begin(owner)
        assert await owner.changed()
        for _ in range(3):
            assert not await owner.changed()
        await other.send(run, "go", b"1")
        await heard.wait()
        assert await owner.changed()
        assert [one.name for one in await owner.signals(run)] == ["go"]
        heard.clear()
        await other.request_cancel(run)
        await heard.wait()
        assert await owner.cancelled([run]) == {run}
        await owner.close()
        await other.close()

    asyncio.run(main())

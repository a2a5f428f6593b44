"""Answers that are lost on their way: what was committed is found, what was not is done once."""

import asyncio
from urllib.parse import urlsplit

import psycopg
import pytest

from nightproof.errors import StoreError
from nightproof.journal.quotas import Ask, Claimant
from nightproof.journal.records import (
    CodeRow,
    EffectRow,
    Entry,
    Finish,
    LaneBatch,
    Owner,
    RunFilter,
    Wanted,
    checksum,
)
from nightproof.journal.schedules import FireRow
from nightproof.model import identity
from nightproof.model.states import EffectState, Kind, RunStatus
from nightproof.stores.postgres import PostgresJournal, session
from nightproof.stores.postgres.link import Link
from nightproof.testing.proxy import Proxy

OWNER = Owner(identity.here(), 1, 30_000)
WANT = Wanted("main", "sha256:1", b"{}")
COMMITTED = b"COMMIT\0"


@pytest.fixture
def wire(postgres_server):
    """A proxy in front of the server."""
    with Proxy("127.0.0.1", postgres_server.port) as proxy:
        yield proxy


def entry(run, seq, output=b"1"):
    """A result."""
    fp = b"fp%d" % seq
    return Entry(run, seq, 1, 7, fp, 1000, 5, b"[]", output, None, checksum(fp, output, None))


def effect(run):
    """An effect that is announced."""
    return EffectRow("k", "act", run, EffectState.INTENDED, b"d", b"[]", 1, 5, None, None, "")


async def a_claim(journal, run, token):
    """Another run is claimed."""
    found = await journal.claim(WANT._replace(digest="sha256:2"), OWNER)
    return found.owned, found.before, found.run.token, found.run.attempts


async def a_replicate(journal, run, token):
    """The next free replicate is claimed."""
    found = await journal.claim(WANT._replace(replicate=-1), OWNER)
    return found.owned, found.run.replicate


async def an_entry(journal, run, token):
    """One entry, with nothing beside it."""
    return await journal.commit([LaneBatch(run, token, [entry(run, 0)])])


async def some_entries(journal, run, token):
    """Several entries."""
    return await journal.commit([LaneBatch(run, token, [entry(run, n) for n in range(5)])])


async def an_entry_with_a_write(journal, run, token):
    """The first result of a step, with its code."""
    batch = LaneBatch(run, token, [entry(run, 0)], [CodeRow(7, "work", "3.11:0")])
    return await journal.commit([batch])


async def shared_entries(journal, run, token):
    """Entries that the store numbers, some of which may be written many times."""
    log = entry(run, 0)._replace(kind=int(Kind.EVENT), fp=b"")
    return await journal.commit([LaneBatch(run, token, [entry(run, 0), log], shared=True)])


async def the_end(journal, run, token):
    """A run is completed."""
    end = Finish(RunStatus.COMPLETED, 5, "completed", b"1")
    return await journal.commit([LaneBatch(run, token, [], [end])])


async def an_intent(journal, run, token):
    """An effect is announced: the caller acts only where it may."""
    return await journal.intend(LaneBatch(run, token), effect(run))


async def a_decision(journal, run, token):
    """A person says that an effect has happened."""
    return (await journal.resolve("k", True, b"1")).key


async def a_signal(journal, run, token):
    """A signal for the run."""
    await journal.send(run, "go", b"1")


async def a_fire(journal, run, token):
    """The contract of a night is fixed."""
    return (await journal.fire(FireRow("s", 5, "r", b"{}")))[1]


async def a_permit(journal, run, token):
    """A permit of a quota."""
    ask = Ask("rate", 10, 2**41, 2**42, True)
    return await journal.take("q", "{}", Claimant("", "r"), [ask], 3, 5)


async def a_note(journal, run, token):
    """An event of a run that nobody works on."""
    other = next(row for row in await journal.runs(RunFilter()) if row.owner is None)
    return await journal.annotate(other.id, b"{}")


ACTS = [
    a_claim, a_replicate, an_entry, some_entries, an_entry_with_a_write, shared_entries, the_end,
    an_intent, a_decision, a_signal, a_fire, a_permit, a_note,
]  # fmt: skip


async def prepared(url, act):
    """A run, and what the act needs besides."""
    journal = PostgresJournal(url)
    run = (await journal.claim(WANT, OWNER)).run
    if act is a_decision:
        await journal.intend(LaneBatch(run.id, run.token), effect(run.id))
    if act is a_note:
        other = (await journal.claim(WANT._replace(digest="sha256:9"), OWNER)).run
        end = Finish(RunStatus.FAILED, 5, "failed")
        await journal.commit([LaneBatch(other.id, other.token, [], [end])])
    await journal.close()
    return run.id, run.token


TABLES = (
    "run", "attempt", "entry", "outcome", "effect", "signal", "fire", "code", "quota_use",
)  # fmt: skip


def contents(url):
    """Everything in the journal, but for clocks, receipts and the numbers of runs."""
    schema = url.rpartition("schema=")[2]
    times = {"created", "updated", "lease_until", "started", "beat", "wake", "id"}
    with psycopg.connect(url.partition("?")[0], options=f"-c search_path={schema}") as raw:
        order = [row[0] for row in raw.execute("SELECT id FROM run ORDER BY id")]
        found = {}
        for table in TABLES:
            cursor = raw.execute(f"SELECT * FROM {table}")
            names = [column.name for column in cursor.description]
            skip = times | ({"at"} if table in ("signal", "effect", "entry") else set())
            found[table] = sorted(
                repr(
                    [
                        order.index(value) if name == "run" and value in order else value
                        for name, value in zip(names, row, strict=True)
                        if name not in skip
                    ]
                )
                for row in cursor
            )
        return found


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_an_answer_that_is_lost_is_read_back(postgres_schema, wire, act):
    """Committed, but the answer never came: as if it had come, and nothing happens twice."""

    async def undisturbed(url):
        run = await prepared(url, act)
        journal = PostgresJournal(url)
        answer = await act(journal, *run)
        await journal.close()
        return answer, contents(url)

    async def cut(url, lost):
        run = await prepared(url, act)
        journal = PostgresJournal(wire.url(url))
        await journal.runs(RunFilter())
        rule = wire.cut(lost, direction="down", when="before")
        answer = await act(journal, *run)
        await journal.close()
        return answer, contents(url), rule.hits

    one = asyncio.run(undisturbed(postgres_schema()))
    mark = b"INSERT 0 " if act in (an_entry, some_entries) else COMMITTED
    *two, hits = asyncio.run(cut(postgres_schema(), mark))
    assert hits == 1
    assert two[0] == one[0]
    assert two[1] == one[1]


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.drill), "behind"])
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_terminated_at_every_message(postgres_schema, postgres_server, monkeypatch, act, moment):
    """The session is ended by the server before, or right behind, each message of the act."""
    admin = psycopg.connect(postgres_server.url, autocommit=True)
    count, target = [0], [-1]
    send = Link.send

    def end(link):
        admin.execute("SELECT pg_terminate_backend(%s)", (link.raw.backend_pid,))

    def sending(link, statements, heard):
        if not watching:
            return send(link, statements, heard)
        count[0] += 1
        hit = count[0] == target[0]
        if hit and moment == "before":
            end(link)
        send(link, statements, heard)
        if hit and moment == "behind":
            end(link)
        return None

    monkeypatch.setattr(Link, "send", sending)
    watching = []

    async def once(url):
        run = await prepared(url, act)
        journal = PostgresJournal(url)
        await journal.runs(RunFilter())
        count[0] = 0
        watching.append(1)
        try:
            answer = await act(journal, *run)
        finally:
            watching.clear()
        await journal.close()
        return answer, contents(url)

    expected = asyncio.run(once(postgres_schema()))
    messages = count[0]
    assert messages >= 1
    for target[0] in range(1, messages + 1):
        found = asyncio.run(once(postgres_schema()))
        assert found == expected
    admin.close()


def test_the_rest_of_a_lost_transaction_is_not_guessed_about(postgres_schema, wire):
    """Its session still holds what it inserted, uncommitted: the read-back waits for its end."""
    url = postgres_schema()

    async def main():
        run = await prepared(url, an_entry)
        # As a backend whose client is gone, and which has not yet noticed.
        ghost = await psycopg.AsyncConnection.connect(url.partition("?")[0])
        schema = url.rpartition("=")[2]
        await ghost.execute(
            f"INSERT INTO {schema}.entry SELECT %s, 7, 1000, 5, %s, 0, 1, %s, '[]', '1'",
            (run[0], entry(1, 0).crc, b"fp0"),
        )
        journal = PostgresJournal(wire.url(url))
        await journal.runs(RunFilter())
        wire.cut(b"fp0", when="before")
        commit = asyncio.ensure_future(an_entry(journal, *run))
        done, _ = await asyncio.wait({commit}, timeout=0.3)
        assert not done
        await ghost.commit()
        await ghost.close()
        assert await commit == frozenset()
        assert [one.seq for one in await journal.entries(run[0])] == [0]
        await journal.close()

    asyncio.run(main())


def test_a_takeover_while_the_answer_was_lost(postgres_schema, wire, monkeypatch):
    """What was committed before it is acknowledged; what was not is refused."""
    url = postgres_schema()

    async def committed():
        run = await prepared(url, an_entry)
        journal, other = PostgresJournal(wire.url(url)), PostgresJournal(url)
        await journal.runs(RunFilter())
        rule = wire.cut(b"INSERT 0 ", direction="down", when="before")
        # Nobody gets through until somebody else has taken the run over.
        waiting = session.Patience.wait

        async def wait(patience, lost):
            if not taken:
                taken.append(await other.claim(WANT, OWNER, takeover=run[1]))
            await waiting(patience, lost)

        taken = []
        monkeypatch.setattr(session.Patience, "wait", wait)
        connect = session.connect

        async def refused(target):
            if rule.hits and not taken and target.parameters["port"] == str(wire.port):
                raise session.Lost("not now")
            return await connect(target)

        monkeypatch.setattr(session, "connect", refused)
        first = await an_entry(journal, *run)
        assert taken
        assert taken[0].owned
        second = await journal.commit([LaneBatch(*run, [entry(run[0], 1)])])
        seqs = [one.seq for one in await other.entries(run[0])]
        await journal.close()
        await other.close()
        return first, second == {run[0]}, seqs

    assert asyncio.run(committed()) == (frozenset(), True, [0])


def test_who_only_looks_does_not_wait_for_a_minute(postgres_schema, postgres_server):
    """A page says soon that the server is away; a run would have waited for it."""

    async def main():
        with Proxy("127.0.0.1", postgres_server.port) as wire:
            journal = PostgresJournal(wire.url(postgres_schema()), patience=0.1)
            assert await journal.runs(RunFilter()) == []
        try:
            with pytest.raises(StoreError, match=r"could not be reached for [0-5] s"):
                await journal.runs(RunFilter())
        finally:
            await journal.close()

    asyncio.run(main())


def test_a_password_is_never_shown(postgres_schema, wire):
    """Neither in errors nor in the URL that people see."""
    url = wire.url(postgres_schema())
    secret = urlsplit(url).password
    journal = PostgresJournal(url)
    assert secret
    assert secret not in journal.url
    assert "***" in journal.url


def test_a_receipt_that_is_long_in_coming_is_still_a_receipt(postgres_schema, monkeypatch):
    """What is left of a lost COMMIT outlasts a wait for a lock, and then turns out to be done."""
    monkeypatch.setattr(session, "LOCK_MS", 200)
    url = postgres_schema()
    acts = []

    async def act(transaction):
        acts.append(1)

    async def main():
        journal = PostgresJournal(url)
        await journal.runs(RunFilter())
        # As a backend that is at its COMMIT, whose client is gone.
        ghost = await psycopg.AsyncConnection.connect(url.partition("?")[0])
        await ghost.execute(f"INSERT INTO {url.rpartition('=')[2]}.receipt VALUES (77)")
        known = journal._session.once(act, number=77, kept=["done before"])
        waiting = asyncio.ensure_future(known)
        await asyncio.sleep(0.3)
        await ghost.commit()
        await ghost.close()
        answer = await waiting
        await journal.close()
        return answer

    assert asyncio.run(main()) == "done before"
    assert not acts


def test_a_statement_that_could_not_be_prepared_leaves_its_name_alone(postgres_schema):
    """The name of one that was refused is not given to another while a later one has it."""
    url = postgres_schema()

    async def main():
        journal = PostgresJournal(url)
        await journal.runs(RunFilter())
        link = journal._session.link
        refused, answered = link.ask([("SELECT * FROM nowhere", ())]), link.ask([("SELECT 1", ())])
        await asyncio.gather(refused, answered, return_exceptions=True)
        found = await link.ask([("SELECT 2", ())])
        await journal.close()
        return found[0].rows

    assert asyncio.run(main()) == [(2,)]

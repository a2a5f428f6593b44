"""The journal on Postgres: opening it, who owns a run, what goes wrong with a server."""

import asyncio
import os
import re
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from nightproof.app import open_reader
from nightproof.config import Settings
from nightproof.errors import (
    ConfigError,
    Forked,
    NightproofError,
    NotFound,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)
from nightproof.journal.lease import Possession, possession
from nightproof.journal.listing import AuditRow, EffectFilter
from nightproof.journal.records import CodeRow, Entry, LaneBatch, Owner, RunFilter, Wanted, checksum
from nightproof.model import clock
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, Kind, RunStatus
from nightproof.stores.postgres import PostgresJournal, beating, link, schema, session
from nightproof.stores.postgres.schema import VERSION
from nightproof.testing.proxy import Proxy

ELSEWHERE = Owner(ProcessIdentity("other/boot/ns", 7, 1), 1, 30_000)
WANT = Wanted("main", "sha256:1", b"{}")


def entry(run, seq, output=b"1"):
    """A result."""
    fp = b"%016d" % seq
    return Entry(run, seq, 1, 7, fp, 10**12, 5, b"[1]", output, None, checksum(fp, output, None))


def raw(url, sql, *values):
    """What a statement returns, run in the journal's schema by somebody else."""
    schema = url.rpartition("schema=")[2]
    with psycopg.connect(
        url.partition("?")[0], autocommit=True, options=f"-c search_path={schema}"
    ) as connection:
        cursor = connection.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def with_parts(url, **parts):
    """The URL with another user, password, port or path."""
    split = urlsplit(url)
    user = parts.get("user", split.username)
    password = parts.get("password", split.password)
    netloc = (
        f"{user}:{password}@{parts.get('host', split.hostname)}:{parts.get('port', split.port)}"
    )
    query = "&".join(filter(None, (split.query, parts.get("query"))))
    path = parts.get("path", split.path)
    return urlunsplit(split._replace(netloc=netloc, path=path, query=query))


def use(url, act):
    """What `act` returns of a journal at the URL."""

    async def main():
        journal = PostgresJournal(url)
        try:
            return await act(journal)
        finally:
            await journal.close()

    return asyncio.run(main())


async def begin(journal, owner=ELSEWHERE):
    """A run and its token."""
    row = (await journal.claim(WANT, owner)).run
    return row.id, row.token


# opening


def test_many_open_a_new_store_at_once(postgres_schema):
    """One makes the tables, the others wait for it; nobody hears of that."""
    url = postgres_schema()

    async def main():
        journals = [PostgresJournal(url) for _ in range(8)]
        found = await asyncio.gather(*(journal.runs(RunFilter()) for journal in journals))
        for journal in journals:
            await journal.close()
        return found

    assert asyncio.run(main()) == [[]] * 8
    assert raw(url, "SELECT version FROM migration") == [(n + 1,) for n in range(VERSION)]


def test_a_newer_schema_is_refused(postgres_schema):
    """With both versions, and what to install; by readers too."""
    url = postgres_schema()
    use(url, lambda journal: journal.runs(RunFilter()))
    raw(url, "INSERT INTO migration (version) VALUES (99)")
    with pytest.raises(StoreTooNew, match="99") as caught:
        use(url, lambda journal: journal.runs(RunFilter()))
    assert caught.value.exit_code == 2
    with pytest.raises(StoreTooNew):
        asyncio.run(open_reader(Settings(store=url)).runs(RunFilter()))


def test_an_older_journal_is_read_as_it_is_and_brought_forward_by_a_writer(
    postgres_schema, monkeypatch
):
    """Without the newer tables and indexes a reader sees the same, but for what they hold."""
    url = postgres_schema()
    monkeypatch.setattr(schema, "VERSION", 1)
    monkeypatch.setattr(session, "VERSION", 1)
    use(url, begin)
    monkeypatch.undo()
    assert raw(url, "SELECT max(version) FROM migration") == [(1,)]
    reader = open_reader(Settings(store=url))

    async def look():
        assert [row.runs for row in await reader.jobs()] == [1]
        assert len(await reader.groups(0)) == 1
        [run] = await reader.runs(RunFilter(own=True, since=0, brief=True))
        assert await reader.entries(run.id, (Kind.EVENT,), newest=True) == []
        assert await reader.ledger(EffectFilter()) == []
        assert await reader.delivered("ab" * 32) == []
        return await reader.audits()

    assert asyncio.run(look()) == []
    assert raw(url, "SELECT max(version) FROM migration") == [(1,)]
    row = AuditRow(0, 1, "ana@desk", "cancel", "main", "nightproof cancel")
    assert use(url, lambda journal: journal.audit(row)) == 1
    assert asyncio.run(reader.audits()) == [row._replace(id=1)]
    assert raw(url, "SELECT version FROM migration") == [(n + 1,) for n in range(VERSION)]


def test_what_is_shown_is_found_without_reading_every_step(postgres_schema):
    """The server's plans: each goes by its index, none goes through all entries."""
    url = postgres_schema()
    use(url, begin)
    raw(
        url,
        "INSERT INTO entry (run, seq, kind, code, fp, at, took, crc) "
        "SELECT 1, n, CASE WHEN n %% 100 = 0 THEN 7 ELSE 1 END, 7, '', n, 1, 0 "
        "FROM generate_series(0, 19999) AS n",
    )
    asked = []

    async def record():
        reader = open_reader(Settings(store=url))
        whole = reader._session.read

        async def heard(*statements):
            asked.extend(statements)
            return await whole(*statements)

        reader._session.read = heard
        found = await reader.entries(1, (Kind.EVENT, Kind.WAIT), newest=True, limit=50)
        assert [found[0].seq, found[-1].seq] == [15000, 19900]
        await reader.delivered("ab" * 32)
        await reader.ledger(EffectFilter())
        await reader.ledger(EffectFilter(states=(EffectState.FAILED,)))
        await reader.runs(RunFilter(status=(RunStatus.RUNNING,)))

    asyncio.run(record())
    settings = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan"
    where = f"-c search_path={url.rpartition('schema=')[2]} {settings}"
    indexes = []
    with psycopg.connect(url.partition("?")[0], autocommit=True, options=where) as connection:
        for number, (query, values) in enumerate(asked):
            connection.execute(f"PREPARE p{number} AS {query}")
            given = sql.SQL(", ").join(map(sql.Literal, values))
            explain = sql.SQL("EXPLAIN EXECUTE {}({})").format(sql.Identifier(f"p{number}"), given)
            plan = " ".join(row[0] for row in connection.execute(explain))
            found = re.search(r"Index (?:Only )?Scan (?:Backward )?(?:using|on) (\w+)", plan)
            indexes.append(found[1] if found else plan)
    assert indexes == ["entry_told", "entry_delivered", "effect_at", "effect_doubt", "run_open"]


def test_reading_makes_nothing(postgres_schema):
    """A reader says that there is no journal yet, and leaves it so."""
    url = postgres_schema()
    with pytest.raises(NotFound, match="no journal"):
        asyncio.run(open_reader(Settings(store=url)).runs(RunFilter()))
    schema = url.rpartition("schema=")[2]
    assert raw(url, "SELECT 1 FROM pg_namespace WHERE nspname = %s", schema) == []


def test_a_reader_outlives_its_event_loop(postgres_schema):
    """Commands read in one loop after another."""
    url = postgres_schema()
    use(url, begin)
    reader = open_reader(Settings(store=url))
    for _ in range(2):
        assert [row.job for row in asyncio.run(reader.runs(RunFilter()))] == ["main"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"password": "wrong-s3cret"}, "user and password"),
        ({"user": "nobody-here", "password": "wrong-s3cret"}, "user and password"),
        ({"path": "/nowhere"}, "Create it"),
        ({"host": "no-such-host.invalid"}, "name service"),
        ({"port": 1}, "server runs"),
        ({"query": "sslmode=require"}, "sslmode"),
    ],
    ids=["password", "user", "database", "host", "port", "tls"],
)
def test_a_wrong_url_is_explained_in_one_line(postgres_schema, monkeypatch, parts, said):
    """What is wrong and what to do, without the password."""
    monkeypatch.setattr(session, "FIRST_PATIENCE_SECONDS", 0.1)
    url = with_parts(postgres_schema(), **parts)
    with pytest.raises(NightproofError) as caught:
        use(url, begin)
    secret = urlsplit(url).password
    assert secret not in str(caught.value)
    assert "\n" not in caught.value.message
    assert "?" not in caught.value.message.partition("connection")[2]
    assert said in caught.value.hint


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h:x/d", "postgresql://u:s3cret@h/d?foo=1"])
def test_a_url_that_cannot_be_read(url):
    """libpq's message would show the password; ours shows the form of a URL."""
    with pytest.raises(ConfigError, match=r"\*\*\*") as caught:
        PostgresJournal(url)
    assert "s3cret" not in str(caught.value)
    assert ("no parameter 'foo'" in caught.value.message) == ("foo" in url)


def test_a_schema_is_a_plain_name():
    """It becomes part of statements."""
    with pytest.raises(ConfigError, match="schema"):
        PostgresJournal('postgresql://u@h/d?schema=a";drop')


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


# what is stored


def test_payloads_hold_any_byte(postgres_schema):
    """NUL in results and signals; in texts it becomes a sign that says so."""

    async def act(journal):
        run, token = await begin(journal)
        odd = bytes(range(256)) * 3
        await journal.commit([LaneBatch(run, token, [entry(run, 0, odd), entry(run, 1, b"")])])
        found = await journal.outputs(run, [0, 1, 2])
        assert {seq: one.output for seq, one in found.items()} == {0: odd, 1: b""}
        await journal.send(run, "a\0b", b'"\\u0000\0"')
        [signal] = await journal.signals(run)
        assert (signal.name, signal.payload) == ("a\ufffdb", b'"\\u0000\0"')

    use(postgres_schema(), act)


def test_a_small_step_costs_little_disk(postgres_schema):
    """Not more than 200 bytes for a row, its index included."""
    url = postgres_schema()
    count = 20_000

    async def act(journal):
        run, token = await begin(journal)
        for n in range(0, count, 1000):
            batch = [entry(run, n + m) for m in range(1000)]
            assert await journal.commit([LaneBatch(run, token, batch)]) == frozenset()
        assert [one.seq for one in await journal.entries(run)] == list(range(count))
        assert len((await journal.index(run, 512))[0]) == count

    use(url, act)
    [(size,)] = raw(url, "SELECT pg_total_relation_size('entry')")
    assert size / count <= 200, size / count


# what goes wrong


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("53100", StoreFull),
        ("25006", StoreReadOnly),
        ("42501", StoreReadOnly),
        ("XX000", StoreError),
    ],
)
def test_refusals_say_what_to_do(postgres_schema, code, error):
    """A full disk, a standby, a missing right; nothing is written, and the journal goes on."""
    url = postgres_schema()

    async def act(journal):
        run, token = await begin(journal)
        raw(
            url,
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$",
        )
        raw(url, "CREATE TRIGGER t BEFORE INSERT ON entry EXECUTE FUNCTION refuse()")
        for batch in ([entry(run, 0)], [entry(run, 0), entry(run, 1)]):
            code_row = CodeRow(7, "work", "3.11:0")
            for writes in ([], [code_row]):
                with pytest.raises(error) as caught:
                    await journal.commit([LaneBatch(run, token, batch, writes)])
                assert type(caught.value) is error
                # Whatever was refused, the next reader finds no transaction open.
                assert await journal._session.attempt(("SELECT 1", ()))
        raw(url, "DROP TRIGGER t ON entry")
        assert await journal.last_seq(run) == -1
        assert await journal.commit([LaneBatch(run, token, [entry(run, 0)])]) == frozenset()

    use(url, act)


def test_a_lock_that_is_never_given_back_is_explained(postgres_schema, monkeypatch):
    """StoreBusy, in bounded time, with where to look."""
    monkeypatch.setattr(session, "LOCK_MS", 50)
    monkeypatch.setattr(session, "TRIES", 2)
    url = postgres_schema()

    async def act(journal):
        run, _ = await begin(journal)
        holder = await psycopg.AsyncConnection.connect(url.partition("?")[0])
        schema = url.rpartition("schema=")[2]
        await holder.execute(f"SELECT 1 FROM {schema}.run FOR UPDATE")
        with pytest.raises(StoreBusy, match="pg_locks"):
            await journal.request_cancel(run)
        await holder.close()

    use(url, act)


def test_no_connection_to_spare(postgres_schema, monkeypatch):
    """The hint says how to have fewer, or more."""
    monkeypatch.setattr(session, "PATIENCE_SECONDS", 0.2)
    url = postgres_schema()
    use(url, begin)
    role = f"crowded_{os.getpid()}"
    raw(url, f"CREATE ROLE {role} LOGIN PASSWORD 'p' CONNECTION LIMIT 0")
    try:
        with pytest.raises(StoreBusy, match="pooler"):
            use(with_parts(url, user=role, password="p"), begin)
    finally:
        raw(url, f"DROP ROLE {role}")


def test_a_server_that_falls_silent_is_an_error_in_time(
    postgres_schema, postgres_server, monkeypatch
):
    """The wire is cut without a word: the answer that is owed never comes."""
    monkeypatch.setattr(link, "SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(session, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr("nightproof.stores.postgres.connecting.CONNECT_SECONDS", 0.2)
    with Proxy("127.0.0.1", postgres_server.port) as wire:

        async def act(journal):
            run, token = await begin(journal)
            wire.drop()
            with pytest.raises(StoreError, match="could not be reached"):
                await journal.commit([LaneBatch(run, token, [entry(run, 0)])])
            wire.reset()
            wire.heal()
            return await journal.last_seq(run)

        assert use(wire.url(postgres_schema()), act) in (-1, 0)


def test_a_closed_journal_says_so(postgres_schema):
    """It is not opened again by a late use."""

    async def main():
        journal = PostgresJournal(postgres_schema())
        await journal.runs(RunFilter())
        await journal.close()
        with pytest.raises(StoreError, match="closed"):
            await journal.runs(RunFilter())

    asyncio.run(main())


def test_a_forked_child_is_refused(postgres_schema):
    """It would share the parent's connection."""

    async def act(journal):
        await begin(journal)
        journal._session._pid += 1
        try:
            with pytest.raises(Forked, match="spawn"):
                await journal.runs(RunFilter())
            with pytest.raises(Forked):
                journal.commit([LaneBatch(1, 1, [entry(1, 0)])])
        finally:
            journal._session._pid -= 1

    use(postgres_schema(), act)

"""The journal on Postgres: opening it, who owns a run, what goes wrong with a server."""

import asyncio
import re
from urllib.parse import urlsplit

import psycopg
import pytest
from postgres_acts import begin, entry, raw, use, with_parts
from psycopg import sql

from nightproof.app import open_reader
from nightproof.config import Settings
from nightproof.errors import ConfigError, NightproofError, NotFound, StoreTooNew
from nightproof.journal.listing import AuditRow, EffectFilter, EffectPlace
from nightproof.journal.records import LaneBatch, RunFilter
from nightproof.model.states import EffectState, Kind, RunStatus
from nightproof.stores.postgres import PostgresJournal, schema, session
from nightproof.stores.postgres.schema import VERSION

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
        await reader.ledger(EffectFilter(1, text="x", before=EffectPlace(5, "k")))
        await reader.reach(EffectFilter(text="x"), 100)
        await reader.runs(RunFilter(status=(RunStatus.RUNNING,)))

    asyncio.run(record())
    settings = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan"
    where = f"-c search_path={url.rpartition('schema=')[2]} {settings}"
    indexes = []
    with psycopg.connect(url.partition("?")[0], autocommit=True, options=where) as connection:
        for number, (query, values) in enumerate(asked):
            connection.execute(f"PREPARE p{number} AS {query}")
            given = sql.SQL(", ").join(map(sql.Literal, values))
            given = sql.SQL("({})").format(given) if values else given
            explain = sql.SQL("EXPLAIN EXECUTE {}{}").format(sql.Identifier(f"p{number}"), given)
            plan = " ".join(row[0] for row in connection.execute(explain))
            found = re.findall(r"Index (?:Only )?Scan (?:Backward )?(?:using|on) (\w+)", plan)
            indexes.append(next((one for one in found if one != "effect_pkey"), plan))
    assert indexes == [
        "entry_told", "entry_delivered", "effect_at", "effect_doubt", "effect_run", "effect_at",
        "run_open",
    ]  # fmt: skip


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

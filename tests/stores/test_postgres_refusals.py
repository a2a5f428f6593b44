"""The journal on Postgres: what a server refuses, and what goes wrong with it."""

import asyncio
import os

import psycopg
import pytest
from postgres_acts import begin, entry, raw, use, with_parts

from nightproof.errors import Forked, StoreBusy, StoreError, StoreFull, StoreReadOnly
from nightproof.journal.records import CodeRow, LaneBatch, RunFilter
from nightproof.stores.postgres import PostgresJournal, link, session
from nightproof.testing.proxy import Proxy

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

"""What tests do with a journal on Postgres, and with its tables as somebody else."""

import asyncio
from urllib.parse import urlsplit, urlunsplit

import psycopg

from nightproof.journal.records import Entry, Owner, Wanted, checksum
from nightproof.model.identity import ProcessIdentity
from nightproof.stores.postgres import PostgresJournal

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

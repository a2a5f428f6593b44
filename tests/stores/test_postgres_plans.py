"""How statements on Postgres are planned."""

import asyncio

from nightproof.journal.records import Entry, LaneBatch, Owner, Wanted, checksum
from nightproof.model.identity import ProcessIdentity
from nightproof.stores.postgres import PostgresJournal
from nightproof.stores.postgres.link import ANEW

OWNER = Owner(ProcessIdentity("other/boot/ns", 7, 1), 1, 30_000)


def entry(run, seq):
    """A result."""
    fp = b"%016d" % seq
    return Entry(run, seq, 1, 7, fp, 10**12, 5, b"[1]", b"1", None, checksum(fp, b"1", None))


def test_a_page_of_a_history_is_planned_for_what_it_asks(postgres_schema):
    """A plan for any number of lines would sort all of a long history for the first fifty."""

    async def act():
        journal = PostgresJournal(postgres_schema())
        run = (await journal.claim(Wanted("main", "sha256:1", b"{}"), OWNER)).run
        await journal.commit([LaneBatch(run.id, run.token, [entry(run.id, n) for n in range(20)])])
        heard, plain = [], journal._rows

        async def rows(sql, *values):
            heard.append(sql)
            return await plain(sql, *values)

        journal._rows = rows
        found = await journal.entries(run.id, codes=(7,), limit=5)
        assert [one.seq for one in found] == [0, 1, 2, 3, 4]
        assert len(await journal.entries(run.id)) == 20
        page, whole = heard
        assert page.startswith(ANEW)
        assert not whole.startswith(ANEW)
        await journal.close()

    asyncio.run(act())

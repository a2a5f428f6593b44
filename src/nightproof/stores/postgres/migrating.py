"""Making the tables, and bringing older ones forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from nightproof.stores.postgres.link import Link, Statement
from nightproof.stores.postgres.schema import migrations

_LOCK = "SELECT pg_advisory_xact_lock(hashtext($1))"
MIGRATION_SECONDS: Final = 600
"""How long one statement may take that brings an older journal forward."""
_VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS migration (version integer PRIMARY KEY, "
    "at timestamptz NOT NULL DEFAULT now())"
)


async def migrate(link: Link, schema: str, begin: Sequence[Statement]) -> None:
    """Bring the schema forward in one transaction; of processes that come at once, one does it."""
    await link.ask([*begin, (_LOCK, (f"nightproof_{schema}",))])
    try:
        has = "SELECT 1 FROM pg_namespace WHERE nspname = $1"
        if not (await link.ask([(has, (schema,))]))[0].rows:
            await link.ask([(f'CREATE SCHEMA "{schema}"', ())])
        await link.ask([(_VERSIONS, ())])
        [row] = (await link.ask([("SELECT coalesce(max(version), 0) FROM migration", ())]))[0].rows
        if row[0]:
            # An index of a large journal takes its time.
            link.allow(MIGRATION_SECONDS + 15)
            limit = f"SET LOCAL statement_timeout TO {MIGRATION_SECONDS * 1000}"
            await link.ask([(limit, ())])
        for version, statements in migrations(row[0]):
            done = ("INSERT INTO migration (version) VALUES ($1)", (version,))
            await link.ask([*((sql, ()) for sql in statements), done])
    except BaseException:
        link.ask([("ROLLBACK", ())])
        raise
    finally:
        link.allow(None)
    await link.ask([("COMMIT", ())])

"""The table of revenue in Postgres: one row per date, country and app.

Unchanged rows are not written, so a second run of a night leaves nothing behind.
Source: PostgreSQL, INSERT … ON CONFLICT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import psycopg

from ..credentials import secret

SCHEMA = """
CREATE TABLE IF NOT EXISTS daily_revenue (
    date date NOT NULL, country text NOT NULL, app text NOT NULL,
    ads_micros bigint NOT NULL, proceeds_micros bigint NOT NULL, impressions bigint NOT NULL,
    installs bigint NOT NULL, currency text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (date, country, app)
)
"""
_UPSERT = """
INSERT INTO daily_revenue AS known
    (date, country, app, ads_micros, proceeds_micros, impressions, installs, currency)
SELECT * FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                     %s::bigint[], %s::bigint[], %s::text[])
ON CONFLICT (date, country, app) DO UPDATE SET
    ads_micros = EXCLUDED.ads_micros, proceeds_micros = EXCLUDED.proceeds_micros,
    impressions = EXCLUDED.impressions, installs = EXCLUDED.installs,
    currency = EXCLUDED.currency, written_at = now()
WHERE (known.ads_micros, known.proceeds_micros, known.impressions, known.installs, known.currency)
    IS DISTINCT FROM (EXCLUDED.ads_micros, EXCLUDED.proceeds_micros, EXCLUDED.impressions,
                      EXCLUDED.installs, EXCLUDED.currency)
RETURNING (xmax = 0)
"""


@dataclass(frozen=True)
class Line:
    """One row of the table; money in millionths of `currency`."""

    date: date
    country: str
    app: str
    ads_micros: int
    proceeds_micros: int
    impressions: int
    installs: int
    currency: str


@dataclass(frozen=True)
class Stored:
    """What an upsert did."""

    country: str
    inserted: int
    updated: int
    unchanged: int


def connect() -> psycopg.Connection[tuple[object, ...]]:
    """A connection of its own; raises psycopg.OperationalError where there is none to be had."""
    return psycopg.connect(secret("DATABASE_URL"), connect_timeout=10)


def prepare() -> None:
    """Make the table where it is not there yet."""
    with connect() as connection:
        # Two nights that begin together would both make it.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('daily_revenue'))")
        connection.execute(SCHEMA)


def upsert(country: str, lines: Sequence[Line]) -> Stored:
    """Write the lines of a country in one transaction."""
    columns = zip(
        *((one.date, one.country, one.app, one.ads_micros, one.proceeds_micros, one.impressions,
           one.installs, one.currency) for one in lines),
        strict=True,
    )  # fmt: skip
    with connect() as connection:
        found = connection.execute(_UPSERT, [list(column) for column in columns]).fetchall()
    inserted = sum(bool(row[0]) for row in found)
    return Stored(country, inserted, len(found) - inserted, len(lines) - len(found))

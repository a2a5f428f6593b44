"""The table of revenue in Postgres: one row per date, country and app.

Unchanged rows are not written, so a second run of a night leaves nothing behind. Rows
know who wrote them, so that what was done is told of the table and not of the statement:
a process that dies after its commit is told the same when it comes back.
Source: PostgreSQL, INSERT … ON CONFLICT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg

from ..credentials import secret

SCHEMA = """
CREATE TABLE IF NOT EXISTS daily_revenue (
    date date NOT NULL, country text NOT NULL, app text NOT NULL,
    ads_micros bigint NOT NULL, proceeds_micros bigint NOT NULL, impressions bigint NOT NULL,
    installs bigint NOT NULL, currency text NOT NULL,
    inserted_by text NOT NULL, written_by text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (date, country, app)
)
"""
_UPSERT = """
INSERT INTO daily_revenue AS known
    (date, country, app, ads_micros, proceeds_micros, impressions, installs, currency,
     inserted_by, written_by)
SELECT *, %s, %s FROM unnest(%s::date[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                             %s::bigint[], %s::bigint[], %s::text[])
ON CONFLICT (date, country, app) DO UPDATE SET
    ads_micros = EXCLUDED.ads_micros, proceeds_micros = EXCLUDED.proceeds_micros,
    impressions = EXCLUDED.impressions, installs = EXCLUDED.installs,
    currency = EXCLUDED.currency, written_by = EXCLUDED.written_by, written_at = now()
WHERE (known.ads_micros, known.proceeds_micros, known.impressions, known.installs, known.currency)
    IS DISTINCT FROM (EXCLUDED.ads_micros, EXCLUDED.proceeds_micros, EXCLUDED.impressions,
                      EXCLUDED.installs, EXCLUDED.currency)
"""
_WRITTEN = """
SELECT count(*) FILTER (WHERE inserted_by = %(night)s),
       count(*) FILTER (WHERE inserted_by <> %(night)s AND written_by = %(night)s)
FROM daily_revenue WHERE (date, country, app)
    IN (SELECT * FROM unnest(%(dates)s::date[], %(countries)s::text[], %(apps)s::text[]))
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
    """How many rows of a country a night has written."""

    country: str
    inserted: int
    updated: int
    unchanged: int


def connect() -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of its own; raises psycopg.OperationalError where there is none to be had."""
    return psycopg.connect(secret("DATABASE_URL"), connect_timeout=10)


def prepare() -> None:
    """Make the table where it is not there yet."""
    with connect() as connection:
        # Two nights that begin together would both make it.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('daily_revenue'))")
        connection.execute(SCHEMA)


def upsert(country: str, lines: Sequence[Line], night: str) -> Stored:
    """Write the lines of a country in one transaction, in the name of a night."""
    columns = [
        list(column)
        for column in zip(
            *((one.date, one.country, one.app, one.ads_micros, one.proceeds_micros,
               one.impressions, one.installs, one.currency) for one in lines),
            strict=True,
        )
    ]  # fmt: skip
    keys = dict(zip(("dates", "countries", "apps"), columns, strict=False))
    with connect() as connection:
        connection.execute(_UPSERT, [night, night, *columns])
        found = connection.execute(_WRITTEN, {"night": night, **keys}).fetchone()
    inserted, updated = found or (0, 0)
    return Stored(country, inserted, updated, len(lines) - inserted - updated)

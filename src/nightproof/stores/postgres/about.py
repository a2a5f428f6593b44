"""Which client of Postgres this is."""

from __future__ import annotations

import psycopg
from psycopg import pq


def versions() -> str:
    """The versions of psycopg and of libpq."""
    return f"psycopg {psycopg.__version__} (libpq {pq.version()}, {pq.__impl__})"

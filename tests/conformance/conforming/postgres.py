"""What lies in a Postgres database."""

from __future__ import annotations


def rows_of(url: str) -> bytes:
    """Every row of every table, as text; bytes also as they are."""
    import psycopg
    from psycopg import sql

    found: list[bytes] = []
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for table in tables:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(*table))
            for row in connection.execute(query):
                found += [_bytes(value) for value in row]
    return b"\n".join(found)


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()

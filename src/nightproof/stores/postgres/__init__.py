"""The journal on Postgres, through psycopg 3."""

from nightproof.stores.postgres.store import PostgresJournal as PostgresJournal
from nightproof.stores.postgres.store import open_reader as open_reader

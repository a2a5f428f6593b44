"""The journal on SQLite, through apsw."""

from nightproof.stores.sqlite.store import SqliteJournal as SqliteJournal

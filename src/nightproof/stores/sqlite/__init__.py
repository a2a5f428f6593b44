"""The journal on SQLite, through apsw."""

from nightproof.stores.sqlite.reads import open_reader as open_reader
from nightproof.stores.sqlite.store import SqliteJournal as SqliteJournal

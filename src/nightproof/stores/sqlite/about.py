"""Which SQLite this is."""

from __future__ import annotations

import apsw


def versions() -> str:
    """The versions of SQLite and of apsw."""
    return f"SQLite {apsw.sqlite_lib_version()} (apsw {apsw.apsw_version()})"

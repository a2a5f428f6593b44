"""The tables, and how older ones become newer ones.

``user_version`` holds the schema's version. A migration is one script, run in one
transaction; old journals are brought forward when they are opened for writing.
"""

from __future__ import annotations

APPLICATION_ID = 0x4E505246
"""Written to the file header, so that ``file`` and other tools can tell a journal."""
ARTIFACT_DIGEST = 'substr(output, instr(output, CAST(\'"sha256": "\' AS BLOB)) + 11, 64)'
"""The digest in the note about an artifact."""

_V1 = """
CREATE TABLE code (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE boot (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
    started INTEGER NOT NULL, command TEXT NOT NULL, stage TEXT NOT NULL
);
CREATE TABLE run (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, job TEXT NOT NULL,
    digest TEXT NOT NULL,
    replicate INTEGER NOT NULL, contract BLOB NOT NULL, target TEXT NOT NULL, code TEXT NOT NULL,
    parent INTEGER, options BLOB NOT NULL, status TEXT NOT NULL, created INTEGER NOT NULL,
    updated INTEGER NOT NULL, finished INTEGER, wake INTEGER, waiting TEXT NOT NULL DEFAULT '',
    result BLOB, result_blob TEXT, error BLOB, token INTEGER NOT NULL,
    owner_host TEXT, owner_pid INTEGER, owner_started INTEGER,
    beat INTEGER NOT NULL DEFAULT 0, lease_until INTEGER NOT NULL DEFAULT 0,
    cancel INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 1
);
CREATE TABLE attempt (
    run INTEGER NOT NULL, n INTEGER NOT NULL, boot INTEGER NOT NULL, started INTEGER NOT NULL,
    ended INTEGER, outcome TEXT NOT NULL DEFAULT '', host TEXT NOT NULL, pid INTEGER NOT NULL,
    pid_started INTEGER NOT NULL, PRIMARY KEY (run, n)
) WITHOUT ROWID;
CREATE TABLE entry (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, code INTEGER NOT NULL,
    fp BLOB NOT NULL, at INTEGER NOT NULL, took INTEGER NOT NULL, inputs BLOB, output BLOB,
    blob TEXT, crc INTEGER NOT NULL, PRIMARY KEY (run, seq)
) WITHOUT ROWID;
CREATE TABLE effect (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, run INTEGER NOT NULL, run_name TEXT NOT NULL,
    state TEXT NOT NULL, digest BLOB NOT NULL, inputs BLOB NOT NULL, tries INTEGER NOT NULL,
    at INTEGER NOT NULL, output BLOB, blob TEXT, error TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE signal (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, name TEXT NOT NULL, payload BLOB NOT NULL,
    at INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE blob_use (
    digest TEXT NOT NULL, run INTEGER NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (digest, run)
) WITHOUT ROWID;
CREATE INDEX run_child ON run (parent) WHERE parent IS NOT NULL;
CREATE INDEX effect_run ON effect (run);
CREATE INDEX signal_run ON signal (run) WHERE taken = 0;
"""

_V2 = """
ALTER TABLE run ADD COLUMN result_crc INTEGER;
"""

_V3 = """
CREATE TABLE quota (
    name TEXT PRIMARY KEY, spec TEXT NOT NULL, parked INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE quota_use (
    quota TEXT NOT NULL, what TEXT NOT NULL, sharer TEXT NOT NULL, until INTEGER NOT NULL,
    n REAL NOT NULL, PRIMARY KEY (quota, what, sharer, until)
) WITHOUT ROWID;
CREATE TABLE quota_wait (
    quota TEXT NOT NULL, run TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (quota, run)
) WITHOUT ROWID;
CREATE TABLE incident (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, job TEXT NOT NULL, run TEXT NOT NULL,
    opened INTEGER NOT NULL, cleared INTEGER, notified INTEGER NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""

_V4 = """
CREATE TABLE schedule (
    name TEXT PRIMARY KEY, job TEXT NOT NULL, target TEXT NOT NULL, spec TEXT NOT NULL,
    since INTEGER NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE fire (
    schedule TEXT NOT NULL, at INTEGER NOT NULL, run TEXT NOT NULL, contract BLOB,
    PRIMARY KEY (schedule, at)
) WITHOUT ROWID;
CREATE INDEX fire_run ON fire (run);
"""

_V5 = """
CREATE TABLE outcome (
    run INTEGER NOT NULL, fp BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (run, fp)
) WITHOUT ROWID;
"""

# What is shown is found without reading every step: no index here has results of steps.
_V6 = f"""
CREATE TABLE audit (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, act TEXT NOT NULL,
    run TEXT NOT NULL, command TEXT NOT NULL, code INTEGER, outcome TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_run ON audit (run);
CREATE INDEX entry_told ON entry (run, seq, kind) WHERE kind <> 1;
CREATE INDEX entry_delivered ON entry (
    {ARTIFACT_DIGEST}, at
) WHERE kind = 6;
CREATE INDEX run_job ON run (job, id);
CREATE INDEX run_open ON run (id) WHERE status IN ('running', 'parked');
CREATE INDEX run_own ON run (id) WHERE parent IS NULL AND replicate = 0;
CREATE INDEX run_night ON run (created, job, status, name)
    WHERE parent IS NULL AND replicate = 0;
CREATE INDEX effect_at ON effect (at, state);
CREATE INDEX effect_doubt ON effect (at) WHERE state IN ('intended', 'failed');
"""

# Whatever the ledger is asked for by, these two have it: only what is shown is read whole.
_V7 = """
DROP INDEX effect_at;
DROP INDEX effect_run;
CREATE INDEX effect_at ON effect (at, state, name, run);
CREATE INDEX effect_run ON effect (run, at, state, name);
CREATE INDEX run_again ON run (created) WHERE parent IS NULL AND replicate <> 0;
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4, _V5, _V6, _V7)
"""``MIGRATIONS[n]`` brings version n to n + 1."""

VERSION = len(MIGRATIONS)
LISTING = 6
"""The version since which there are indexes for what is shown, and a record of what people did."""
AGAIN = 7
"""The version since which there is an index of replicates."""

"""Looking at the environment of an attempt."""

from __future__ import annotations

from bench.spec import NIGHTPROOF, Bound, Contender, Row

EVERY = f"{NIGHTPROOF}, every file hashed (env show --verify)"
_SIZES = {"count": 200, "files": 125}

SNAPSHOT = Row(
    name="snapshot",
    title="Snapshot of 200 packages with 25,000 files",
    unit="ms",
    contenders=(
        Contender(EVERY, "bench.snapshots:snapshot", {**_SIZES, "verify": True}, {"files": 10}),
        Contender(NIGHTPROOF, "bench.snapshots:snapshot", _SIZES, {"files": 10}),
    ),
    bounds=(Bound(NIGHTPROOF, "absolute", 300, False),),
    note="Every package with the digest of its RECORD, every file by size and time; the first "
    "line hashes them all. Taken once a process, beside the first steps.",
)

ENVIRONMENT = (SNAPSHOT,)

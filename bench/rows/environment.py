"""Looking at the environment of an attempt, and at what it reads."""

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

BLIND = f"{NIGHTPROOF}, witness = false"
READING = "bench.reading:read"

READS = Row(
    name="reads",
    title="A step that reads 10,000 files of 2 KiB",
    unit="ms",
    contenders=(
        Contender(BLIND, READING, {"count": 10_000, "witness": False}, {"count": 5000}),
        Contender(NIGHTPROOF, READING, {"count": 10_000, "witness": True}, {"count": 5000}),
    ),
    bounds=(Bound(NIGHTPROOF, "ratio", 1.1, False, BLIND),),
    rounds=5,
    note="Inside the step, files in the page cache. What was read is hashed when the step is "
    "over, or in another thread while it goes on: in brackets the time to the end of the run.",
)

ENVIRONMENT = (SNAPSHOT, READS)

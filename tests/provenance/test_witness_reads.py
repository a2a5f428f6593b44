"""Reads as they are kept in the journal, and back."""

import asyncio
import json
from typing import Any

import pytest

from nightproof.errors import BlobError
from nightproof.journal.records import Entry, event
from nightproof.provenance.witness import BLIND, Read, decoded, level, witnessed
from nightproof.provenance.witness.levels import LEVELS
from nightproof.provenance.witness.reads import document, stored


class Shelf:
    """A blob store with one blob, and a journal with a few events."""

    def __init__(self, data: bytes = b"", notes: tuple[dict[str, Any], ...] = ()) -> None:
        self.data = data
        self.notes = [
            event(1, seq, 0, json.dumps(note).encode()) for seq, note in enumerate(notes, 1)
        ]

    def get(self, digest: str) -> bytes:
        """The blob."""
        return self.data

    async def entries(self, run: int, kinds: Any, after: int, limit: int) -> list[Entry]:
        """Two a page, so that there are pages."""
        return [one for one in self.notes if one.seq > after][:2]


READS = [
    Read("file", "/home/u/.fx", "load", "ab12", "sha256:" + "0" * 64, 12, kept="sha256:1"),
    Read("variable", "REGION", by="requests", declared="setting variables"),
    Read("host", "api.example.com:443", "import"),
]


def test_reads_come_back_from_event_and_blob():
    """Inline or in a blob, the same reads; attempt and level are the event's."""
    inline = {"kind": "witness", "level": "L1", "attempt": 2, "reads": stored(READS)}
    expected = [read._replace(attempt=2, level="L1") for read in READS]
    assert decoded(json.loads(json.dumps(inline)), Shelf()) == expected
    blob = {"kind": "witness", "level": "L1", "attempt": 2, "reads": None, "blob": "sha256:x"}
    assert decoded(blob, Shelf(document(READS, "L1"))) == expected


@pytest.mark.parametrize(
    "data", [b"", b"[1]", b'{"witness": 2, "reads": []}', b'{"witness": 1, "reads": [1]}']
)
def test_a_blob_that_is_something_else_is_refused(data: bytes):
    """No traceback of a decoder: BlobError."""
    with pytest.raises(BlobError):
        decoded({"blob": "sha256:x", "level": "L0", "attempt": 1}, Shelf(data))


def test_all_events_of_all_attempts_are_merged():
    """In order; an attempt that read nothing has its level all the same."""
    notes = (
        {"kind": "witness", "level": "L0", "attempt": 1, "reads": stored(READS[:1])},
        {"kind": "retry", "message": 'says "witness"'},
        {"kind": "witness", "level": "L0", "attempt": 1, "reads": stored(READS[1:])},
        {"kind": "snapshot", "witness": "L2", "attempt": 2},
        {"kind": "snapshot", "attempt": 3},
    )
    shelf: Any = Shelf(notes=notes)
    found = asyncio.run(witnessed(shelf, shelf, 1))
    assert [read.name for read in found.reads] == [read.name for read in READS]
    assert found.levels == {1: "L0", 2: "L2"}


@pytest.mark.parametrize(
    ("read", "undeclared"),
    [
        (Read("variable", "REGION"), True),
        (Read("variable", "HTTP_PROXY", by="requests"), False),
        (Read("variable", "HTTP_PROXY", digest="withheld", by="requests"), True),
        (Read("file", "/x", digest=None, size=9, by="pandas"), True),
        (Read("host", "a:1", by="requests"), True),
        (Read("host", "a:1", declared="setting hosts"), False),
    ],
)
def test_what_counts_as_undeclared(read: Read, undeclared: bool):
    """Packages may look for what is not there; own code that does so depends on it."""
    assert read.undeclared is undeclared


def test_every_level_says_what_it_cannot_see():
    """And only a parent that isolates can say that it is more than L0."""
    assert tuple(BLIND) == LEVELS
    assert all(BLIND.values())
    assert level({}) == level({"NIGHTPROOF_ISOLATION": "L9"}) == "L0"
    assert level({"NIGHTPROOF_ISOLATION": "L2"}) == "L2"

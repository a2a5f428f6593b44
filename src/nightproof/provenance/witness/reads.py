"""What a run is known to have read, out of its journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from nightproof.errors import BlobError
from nightproof.journal.protocol import Reader
from nightproof.model.states import Kind

VERSION = 1
KIND = "witness"
"""The kind of the event that holds reads."""
INLINE = 16 * 1024
"""A list of reads up to so many bytes stays in its event; a longer one goes to a blob."""
BODY = ""
IMPORT = "import"
UNPLACED = "?"
"""Instead of a step: the job's body; before it began; a thread of which nobody knows
for which step it works."""
HARMLESS = "harmless"
"""`declared` of a variable that only says where things are, or that the snapshot holds."""
COPIED = "copy of the environment"
"""`declared` of a variable that was read with all others, not by its name."""
WITHHELD = "withheld"
"""`digest` of a variable that looks like a secret: that it was set, and nothing else."""
_PAGE = 500


class Read(NamedTuple):
    """One thing that an attempt read from outside.

    `what` is ``file``, ``folder``, ``variable``, ``host`` or ``program``, `name` an
    absolute path, a variable's name or ``host:port``. `step` and `fp` (hex) say for
    which step: ``""`` is the job's body, ``"import"`` what came before it, ``"?"`` a
    thread that belongs to no known step. A step's name without `fp` stands for many
    calls of that step. `digest` is ``sha256:<hex>`` of a file's content, of the sorted
    names in a folder or of a variable's value; None with `size` None says that it was
    not there, None with a size that it was not hashed. `by` is ``own`` or the
    distribution or module that read. `declared` says what allows the read, ``""`` that
    nothing does. `kept` is the blob with the content, where that was kept.
    """

    what: str
    name: str
    step: str = BODY
    fp: str = ""
    digest: str | None = None
    size: int | None = None
    by: str = "own"
    declared: str = ""
    kept: str | None = None
    attempt: int = 0
    level: str = "L0"

    @property
    def undeclared(self) -> bool:
        """Whether nothing says that the job may depend on this.

        A package that looks for a file or a variable that is not there is none: it
        has its defaults, and every one of them does that.
        """
        absent = self.what in ("file", "folder", "variable") and not (self.digest or self.size)
        return not self.declared and (self.by == "own" or not absent)


_STORED = Read._fields[:9]


class Source(Protocol):
    """Where blobs come from."""

    def get(self, digest: str) -> bytes:
        """The bytes of a blob. Raises BlobError."""
        ...


class Witnessed(NamedTuple):
    """What is known about the reads of a run.

    `levels` has the level of every attempt that was witnessed, by its number;
    an attempt that is not in it ran without a witness.
    """

    levels: dict[int, str]
    reads: list[Read]


def stored(reads: Iterable[Read]) -> list[dict[str, Any]]:
    """Reads as JSON data, as they are kept."""
    return [dict(zip(_STORED, read[:9], strict=True)) for read in reads]


def document(reads: Iterable[Read], level: str) -> bytes:
    """The blob for a long list of reads: canonical JSON, the same bytes for the same reads."""
    listed = [
        {key: value for key, value in one.items() if value is not None} for one in stored(reads)
    ]
    whole = {"level": level, "reads": listed, "witness": VERSION}
    # With nothing but text and small whole numbers in it this is RFC 8785, and quicker.
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decoded(note: Mapping[str, Any], blobs: Source) -> list[Read]:
    """The reads of one ``witness`` event; blocks where they are in a blob.

    Raises BlobError where the blob is gone or not what it should be.
    """
    listed = note.get("reads")
    if note.get("blob"):
        listed = _from_blob(blobs.get(str(note["blob"])))
    level, attempt = str(note.get("level", "L0")), int(note.get("attempt", 0))
    try:
        return [
            Read(**{key: one[key] for key in _STORED if key in one}, attempt=attempt, level=level)
            for one in listed or ()
        ]
    except TypeError:
        raise _other() from None


def _from_blob(data: bytes) -> Any:
    try:
        found = json.loads(data)
        if found["witness"] != VERSION:
            raise _other()
        return found["reads"]
    except (ValueError, KeyError, TypeError):
        raise _other() from None


def _other() -> BlobError:
    return BlobError(
        "the recorded reads are not in the form that is known here",
        "Use the nightproof that recorded the run, or a newer one.",
    )


async def witnessed(reader: Reader, blobs: Source, run_id: int) -> Witnessed:
    """What the attempts of a run read, in the order of its journal.

    Raises BlobError where a list of reads is gone.
    """
    found = Witnessed({}, [])
    attempt, after = 1, -1
    while entries := await reader.entries(run_id, (Kind.EVENT,), after, _PAGE):
        after = entries[-1].seq
        for entry in entries:
            note = _note(entry.output)
            if note is None:
                continue
            attempt = int(note.get("attempt", attempt))
            found.levels[attempt] = str(note.get("level") or note["witness"])
            if note["kind"] == KIND:
                found.reads.extend(await asyncio.to_thread(decoded, note, blobs))
    return found


def _note(output: bytes | None) -> dict[str, Any] | None:
    """A witness event, or a snapshot that says at what level its attempt was witnessed."""
    if not output or b'"witness"' not in output:
        return None
    try:
        note = json.loads(output)
    except ValueError:
        return None
    if note.get("kind") == KIND or (note.get("kind") == "snapshot" and "witness" in note):
        return dict(note)
    return None


async def reads_of(reader: Reader, blobs: Source, run_id: int) -> list[Read]:
    """Everything that the attempts of a run are known to have read, in order.

    Raises BlobError where a list of reads is gone.
    """
    return (await witnessed(reader, blobs, run_id)).reads

"""Which prompt templates a run used, as its journal records it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nightproof.journal.protocol import Reader
from nightproof.provenance.events import events

KIND = "prompt"


class Prompted(NamedTuple):
    """A template that a step (or the job's body, both "") read.

    `sha256` is that of the file's bytes, `locked` whether the lock beside it says
    the same, `at` milliseconds since the epoch.
    """

    id: str
    sha256: str
    path: str
    locked: bool
    step: str
    fp: str
    at: int = 0

    def note(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        kept = self._asdict()
        del kept["at"]
        state = "locked" if self.locked else "not locked: its text may change unseen"
        return {**kept, "message": f"{self.id} (sha256 {self.sha256[:12]}, {state})"}


def decoded(note: Mapping[str, Any], at: int = 0) -> Prompted:
    """The record in an event of the journal; `at` is the event's time."""
    prompt_id, sha256, path, step, fp = (
        str(note.get(name) or "") for name in ("id", "sha256", "path", "step", "fp")
    )
    return Prompted(prompt_id, sha256, path, bool(note.get("locked")), step, fp, at)


async def prompts_of(reader: Reader, run_id: int) -> list[Prompted]:
    """Every template on record of a run, oldest first."""
    return [decoded(note, at) async for at, note in events(reader, run_id, KIND)]

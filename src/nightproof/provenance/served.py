"""Which models served a run, as its journal records it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nightproof.journal.protocol import Reader
from nightproof.provenance.events import events

KIND = "served"


class Served(NamedTuple):
    """One answer of a model; None for what nobody said.

    `step` and `fp` (hex) name the step in which it was asked, both "" for the job's
    body. `requested`, `accepted` and `reported` are what was asked for, what the
    provider says it went by, and what it says answered; `status` is one of matched,
    mismatched, alias echoed and not reported. The digests leave out ids and times.
    `pin` is the id of the contract's pin; `at` milliseconds since the epoch.
    """

    step: str
    fp: str
    provider: str
    requested: str
    accepted: Any
    reported: str | None
    fingerprint: str | None
    response_id: str | None
    status: str
    request_digest: str | None
    response_digest: str | None
    pin: str | None
    at: int = 0

    def note(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        kept = {_NAMES.get(name, name): value for name, value in self._asdict().items()}
        del kept["at"]
        return {**kept, "message": self.message}

    @property
    def message(self) -> str:
        """One line for people."""
        who = f"answered by {self.reported}" if self.reported else "nobody says who answered"
        return f"{self.provider or 'a model'}: asked for {self.requested}, {who}: {self.status}"


_NAMES = {
    "response_id": "responseId",
    "request_digest": "requestDigest",
    "response_digest": "responseDigest",
}


def decoded(note: Mapping[str, Any], at: int = 0) -> Served:
    """The record in an event of the journal; `at` is the event's time."""
    found: dict[str, Any] = {name: note.get(_NAMES.get(name, name)) for name in Served._fields}
    for name in ("step", "fp", "provider", "requested", "status"):
        found[name] = str(found[name] or "")
    found["at"] = at
    return Served(**found)


async def served_of(reader: Reader, run_id: int) -> list[Served]:
    """Every answer on record of a run, oldest first.

    A step that was tried again, or ran again after a crash, has several: its result
    comes from the last.
    """
    return [decoded(note, at) async for at, note in events(reader, run_id, KIND)]

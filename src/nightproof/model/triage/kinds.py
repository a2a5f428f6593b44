"""What triage says about an exception."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

Happened = Literal["no", "unknown"]


class Kind(StrEnum):
    """What can be done about a failed try."""

    TRANSIENT = "transient"
    """Another try may succeed."""
    EXHAUSTED = "exhausted"
    """A quota is used up: nobody who shares it should try before it is back."""
    UNAUTHENTICATED = "unauthenticated"
    """A credential was refused: get a new one, then try once more."""
    PERMANENT = "permanent"
    """Another try would fail in the same way."""


@dataclass(frozen=True, slots=True)
class Triage:
    """The reading of one exception.

    `retry_after` is the wait, in seconds, that the other side asked for: a
    minimum. `resets_at` (aware) is when a used-up quota is there again, if
    known. `happened` is "no" only where the act of this try certainly was not
    processed; it says nothing about earlier tries. `reason` is for people.
    """

    kind: Kind
    retry_after: float | None = None
    resets_at: datetime | None = None
    happened: Happened = "unknown"
    reason: str = ""


def transient(
    reason: str, happened: Happened = "unknown", retry_after: float | None = None
) -> Triage:
    """Another try may succeed."""
    return Triage(Kind.TRANSIENT, retry_after, None, happened, reason)


def permanent(reason: str, happened: Happened = "unknown") -> Triage:
    """Another try would fail in the same way."""
    return Triage(Kind.PERMANENT, None, None, happened, reason)


def unauthenticated(reason: str, happened: Happened = "no") -> Triage:
    """A credential was refused; servers do that before they act."""
    return Triage(Kind.UNAUTHENTICATED, None, None, happened, reason)

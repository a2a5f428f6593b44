"""What runs note in their journals about themselves, as documents have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nightproof.views.values import Json, Time

Level = Literal["L0", "L1", "L2", "L3"]
Status = Literal["matched", "mismatched", "alias echoed", "not reported"]
Triage = Literal["transient", "exhausted", "unauthenticated", "permanent", "tried again", ""]
Part = Literal["strict", "numeric", "host", ""]


@dataclass(frozen=True, slots=True)
class TryView:
    """One try of a step or item that did not succeed; `triage` is how its error was read."""

    at: Time | None
    type: str
    message: str
    triage: Triage


@dataclass(frozen=True, slots=True)
class ErrorView:
    """The error that a run failed with.

    Where a step failed for good: its name, the item's `key`, what it `failed` with (a type) and
    why (`reason`), and every try. `undo` says what could not be undone.
    """

    type: str
    message: str
    hint: str | None
    step: str | None
    key: str | None
    failed: str | None
    reason: str | None
    attempts: list[TryView] | None
    undo: list[str] | None


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """A file that a run delivered; `manifest` is where its manifest is, null where it has none."""

    name: str
    path: str
    sha256: str
    size: int | None
    media_type: str | None
    blob: str | None
    """Where an engine of several machines keeps its bytes for all of them."""
    manifest: str | None


@dataclass(frozen=True, slots=True)
class DivergenceNote:
    """Where an attempt did something else than what is recorded."""

    step: str
    key: str | None
    message: str
    recorded: Json
    now: Json
    arguments: Json


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A step or job whose code is not what it was when its results were recorded: two digests."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SnapshotDigests:
    """The environment of an attempt: three digests, and that of the blob with its items."""

    strict: str
    numeric: str
    host: str
    items: str | None
    witness: Level | None
    """At what level its reads were witnessed."""
    attempt: int | None
    worker: str | None
    """Which worker's, where several work on an attempt."""


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """An item of the environment that is not what it was; null where there is none."""

    item: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class EnvironmentChange:
    """What had changed when an attempt began: `count` items, the first of them by name."""

    message: str
    items: list[ChangedItem]
    count: int


@dataclass(frozen=True, slots=True)
class ModelNote:
    """Answers of a model that are alike; `count` of them."""

    provider: str | None
    requested: str | None
    reported: str | None
    fingerprint: str | None
    status: Status | None
    count: int = 1


@dataclass(frozen=True, slots=True)
class PromptNote:
    """A prompt template that was used; `locked` whether its version is."""

    id: str
    sha256: str
    locked: bool


@dataclass(frozen=True, slots=True)
class WitnessNote:
    """At what level reads were witnessed, how many nothing declares, and the first of them."""

    level: Level
    undeclared: int
    names: list[str]


def error_of(told: Any) -> ErrorView | None:
    """The error that is on record; None for what is none."""
    if not isinstance(told, Mapping):
        return None
    tries, undo = told.get("attempts"), told.get("undo")
    return ErrorView(
        type=str(told.get("type", "")),
        message=str(told.get("message", "")),
        hint=text_of(told, "hint"),
        step=text_of(told, "step"),
        key=text_of(told, "key"),
        failed=text_of(told, "failed"),
        reason=text_of(told, "reason"),
        attempts=tries_of(told) if isinstance(tries, list) else None,
        undo=[str(one) for one in undo] if isinstance(undo, list) else None,
    )


def tries_of(told: Any) -> list[TryView]:
    """The tries that a recorded failure tells of."""
    found = (told.get("attempts") or ()) if isinstance(told, Mapping) else ()
    return [
        TryView(
            text_of(one, "at") or None, str(one.get("type", "")), str(one.get("message", "")),
            one.get("triage", ""),
        )
        for one in found
        if isinstance(one, Mapping)
    ]  # fmt: skip


def divergence_of(told: Mapping[str, Any]) -> DivergenceNote:
    """A divergence that is on record."""
    return DivergenceNote(
        str(told.get("step", "")), text_of(told, "key"), str(told.get("message", "")),
        told.get("recorded"), told.get("now"), told.get("arguments"),
    )  # fmt: skip


def digests_of(told: Mapping[str, Any]) -> SnapshotDigests:
    """The environment that a snapshot event tells of."""
    attempt = told.get("attempt")
    return SnapshotDigests(
        strict=str(told.get("strict") or ""),
        numeric=str(told.get("numeric") or ""),
        host=str(told.get("host") or ""),
        items=text_of(told, "items"),
        witness=told.get("witness"),
        attempt=attempt if isinstance(attempt, int) else None,
        worker=text_of(told, "worker"),
    )


def change_of(told: Mapping[str, Any]) -> EnvironmentChange:
    """What an attempt found changed in its environment."""
    items = [
        ChangedItem(str(one.get("item")), text_of(one, "a"), text_of(one, "b"))
        for one in told.get("items") or ()
        if isinstance(one, Mapping)
    ]
    return EnvironmentChange(str(told.get("message", "")), items, int(told.get("count") or 0))


def model_of(told: Mapping[str, Any]) -> ModelNote:
    """The answer that a ``served`` event tells of."""
    return ModelNote(
        text_of(told, "provider"), text_of(told, "requested"), text_of(told, "reported"),
        text_of(told, "fingerprint"), told.get("status"),
    )  # fmt: skip


def text_of(told: Mapping[str, Any], name: str) -> str | None:
    """A text of an event; None where it has none."""
    found = told.get(name)
    return None if found is None else str(found)

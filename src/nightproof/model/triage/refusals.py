"""What the body of a refusal says: google.rpc, App Store Connect, Slack, OpenAI and others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from nightproof.model.triage.waits import duration

_LARGEST = 256 * 1024  # an error body longer than this is a page, not a message
_RETRY_INFO = "google.rpc.RetryInfo"
_DAILY = re.compile(
    r"per[ _-]?day|daily[ _-]?(?:\w+ )?(?:quota|limit)|dailylimitexceeded|insufficient_quota",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Refusal:
    """The machine-readable part of an error, whatever its dialect."""

    status: str = ""
    """The google.rpc status name, such as RESOURCE_EXHAUSTED."""
    message: str = ""
    words: set[str] = field(default_factory=set)
    """Codes and reasons, in lower case."""
    retry_delay: float | None = None
    """Seconds, from RetryInfo: a minimum."""
    google: bool = False

    def text(self) -> str:
        """Everything it says, for searching."""
        return " ".join((self.message, *sorted(self.words)))

    @property
    def daily(self) -> bool:
        """Whether the limit it names is one of a day, or a budget that is spent."""
        text = self.text()
        if "quotaexceeded" in self.words and "per minute" not in text:
            return True
        return _DAILY.search(text) is not None


def parse(body: object) -> Refusal:
    """The refusal in a response body: bytes, text, or JSON data already decoded."""
    if isinstance(body, bytes | bytearray):
        body = bytes(body[:_LARGEST]).decode("utf-8", "replace")
    text = ""
    if isinstance(body, str):
        text, body = body[:_LARGEST], None
        if text.lstrip()[:1] in {"{", "["}:
            with suppress(ValueError, RecursionError):
                body = json.loads(text)
    found = Refusal()
    for error in _errors(body):
        _read(error, found)
    if not found.message:
        found.message = text[:2000]
    return found


def _errors(body: object) -> Iterator[Mapping[str, object]]:
    """The error objects in a body: alone, in ``error``, in ``errors``, in an array of rows."""
    if isinstance(body, Sequence) and not isinstance(body, str | bytes):
        for entry in body:
            if isinstance(entry, Mapping) and ("error" in entry or "code" in entry):
                yield from _errors(entry)
        return
    if not isinstance(body, Mapping):
        return
    inner = body.get("error")
    if isinstance(inner, Mapping):
        yield inner
        return
    yield body
    several = body.get("errors")
    if isinstance(several, Sequence) and not isinstance(several, str):
        yield from (entry for entry in several if isinstance(entry, Mapping))


def _read(error: Mapping[str, object], found: Refusal) -> None:
    status = error.get("status")
    if isinstance(status, str) and status.isupper():
        found.status = found.status or status
        found.google = True
    for name in ("message", "detail", "title", "error_description"):
        text = error.get(name)
        if isinstance(text, str) and text not in found.message:
            found.message = f"{found.message} {text}".strip()
    for name in ("code", "type", "reason", "error", "__type"):
        word = error.get(name)
        if isinstance(word, str):
            found.words.add(word.lower())
    for name in ("details", "errors"):
        several = error.get(name)
        if isinstance(several, Sequence) and not isinstance(several, str):
            for detail in several:
                read_detail(detail, found)


def read_detail(detail: object, found: Refusal) -> None:
    """One entry of ``details``: RetryInfo, QuotaFailure, ErrorInfo; JSON or a message."""
    kind = str(_get(detail, "@type") or type(detail).__name__)
    if kind.endswith((_RETRY_INFO, "RetryInfo")):
        found.google = True
        delay = duration(_get(detail, "retryDelay") or _get(detail, "retry_delay"))
        if delay is not None:
            found.retry_delay = max(delay, found.retry_delay or 0.0)
    reason = _get(detail, "reason")
    if isinstance(reason, str):
        found.words.add(reason.lower())
    violations = _get(detail, "violations")
    if violations is not None and not isinstance(violations, str):
        found.google = True
        for violation in violations if hasattr(violations, "__iter__") else ():
            for name in ("description", "quotaId", "quota_id", "quotaMetric", "quota_metric"):
                text = _get(violation, name)
                if isinstance(text, str):
                    found.words.add(text.lower())


def _get(thing: object, name: str) -> object:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)

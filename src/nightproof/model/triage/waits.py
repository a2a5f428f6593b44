"""How long the other side asks us to wait: headers, durations, quota windows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from typing import Any

from nightproof.model import clock
from nightproof.model.triage.kinds import Happened, Kind, Triage, transient

LONG_WAIT = 60.0
"""Seconds. A longer wait for a limit is a quota that is used up, not a hiccup."""

_MOST = 366 * 86400.0  # a server that asks for more is not to be taken at its word
_EPOCH_FROM = 1e9  # a reset header above this is a time, below it a number of seconds
_MILLIS_FROM = 1e11


def seconds(value: object) -> float | None:
    """`value` as a wait in seconds; None for what is no sensible number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else min(max(number, 0.0), _MOST)


def header(headers: object, name: str) -> str | None:
    """One header of any client's header object; `name` in lower case."""
    if not isinstance(headers, Mapping) and not hasattr(headers, "get"):
        return None
    lookup: Any = headers
    found = lookup.get(name)
    if found is None and isinstance(lookup, Mapping):
        for key in lookup:
            if isinstance(key, str) and key.lower() == name:
                found = lookup[key]
                break
    if isinstance(found, list | tuple):
        found = found[0] if found else None
    return None if found is None else str(found).strip()


def http_date(text: str) -> float | None:
    """Seconds from now until an HTTP date; 0 for one in the past."""
    from email.utils import parsedate_to_datetime  # heavy to import, rarely needed

    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    if when.tzinfo is None:  # "-0000" parses as naive, and means UTC
        when = when.replace(tzinfo=UTC)
    return seconds((when - clock.now()).total_seconds())


def from_headers(headers: object) -> float | None:
    """The wait that response headers ask for, in seconds.

    Retry-After (seconds or an HTTP date), retry-after-ms, and, where a rate
    limit's remaining count is 0, its reset header (an epoch or seconds to go).
    """
    millis = seconds(header(headers, "retry-after-ms"))
    if millis is not None:
        return millis / 1000
    text = header(headers, "retry-after")
    if text:
        return seconds(text) if re.fullmatch(r"[\d.]+", text) else http_date(text)
    for prefix in ("x-ratelimit-", "ratelimit-"):
        if header(headers, prefix + "remaining") == "0":
            reset = seconds_or_epoch(header(headers, prefix + "reset"))
            if reset is not None:
                return reset
    # App Store Connect counts a rolling hour: within one, all of it is back.
    if "user-hour-rem:0;" in (header(headers, "x-rate-limit") or "").replace(" ", "") + ";":
        return 3600.0
    return None


def seconds_or_epoch(text: str | None) -> float | None:
    """A reset header in seconds from now, whichever of its two usual forms it has."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    if number > _EPOCH_FROM:
        number = number / 1000 if number > _MILLIS_FROM else number
        number -= clock.now().timestamp()
    return seconds(number)


def duration(value: object) -> float | None:
    """A protobuf Duration in seconds: JSON ("30s", "1.5s"), mapping or message."""
    if isinstance(value, str):
        matched = re.fullmatch(r"(\d+(?:\.\d+)?)s", value.strip())
        return seconds(matched[1]) if matched else None
    if isinstance(value, timedelta):
        return seconds(value.total_seconds())
    parts: list[Any] = [
        value.get(name, 0) if isinstance(value, Mapping) else getattr(value, name, None)
        for name in ("seconds", "nanos")
    ]
    whole, nanos = (seconds(part) for part in parts)
    return None if whole is None else whole + (nanos or 0.0) / 1e9


def next_midnight_pacific() -> datetime | None:
    """When Google's daily quotas are back; None where the zone is not installed."""
    with suppress(ImportError, KeyError, ValueError, OSError):
        from zoneinfo import ZoneInfo  # heavy to import, rarely needed

        zone = ZoneInfo("America/Los_Angeles")
        tomorrow = clock.now().astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, time(), zone).astimezone(UTC)
    return None


def limited(
    reason: str,
    wait: float | None,
    *,
    daily: bool = False,
    resets_at: datetime | None = None,
    happened: Happened = "no",
) -> Triage:
    """A rate limit: transient if it passes soon, exhausted if it does not."""
    if not daily and (wait is None or wait <= LONG_WAIT):
        return transient(reason, happened, wait)
    if wait is not None and wait > LONG_WAIT:
        told = clock.now() + timedelta(seconds=wait)
        resets_at = max(told, resets_at) if resets_at else told
    return Triage(Kind.EXHAUSTED, wait, resets_at, happened, reason)

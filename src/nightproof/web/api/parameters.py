"""The types of parameters: their bounds and meaning, as they are checked and described."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from nightproof.views.ledger import LONGEST

NAME = 20_000
"""So many characters of a name or text are taken: what fits into an address."""
_MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def _milliseconds(text: str) -> int:
    """A time of RFC 3339 in milliseconds since the epoch. Raises ValueError."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError("a time looks like 2026-11-22T04:30:00+01:00 (its + is written %2B)")
    day, minute, second, fraction, zone = found.groups()
    # Neither a year 0 nor a leap second exist here; they are right next to what does.
    day = "0001" + day[4:] if day.startswith("0000") else day
    second = "59" if second == "60" else second
    zone = "+00:00" if zone in ("Z", "z") else zone
    at = datetime.fromisoformat(f"{day}T{minute}:{second}{(fraction or '.0')[:7]:0<7}{zone}")
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def text(description: str, length: int = NAME) -> object:
    """Some text of the user's."""
    return Field(min_length=1, max_length=length, description=description)


RunName = Annotated[str, text("A run's name, or a unique beginning of it.")]
JobName = Annotated[str, text("A job's name.")]
EffectCursor = Annotated[
    str,
    Field(
        max_length=LONGEST + 20,
        pattern=r"^[0-9]{1,15}\.[^\u0000]*$",
        description="Go on with those behind it: `next`.",
    ),
]
Moment = Annotated[
    int,
    BeforeValidator(_milliseconds),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Seq = Annotated[int, Field(ge=-1, le=2**31 - 2)]
"""A sequence number in the history of a run."""
Id = Annotated[int, Field(ge=1, le=2**53 - 1)]

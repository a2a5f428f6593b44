"""Small conversions that every view needs."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Annotated, Any

from nightproof.contract.secrets import redact
from nightproof.model import clock

PREVIEW = 200
"""So many characters of a value are shown in a listing."""


class Form:
    """What a text looks like, for the description of a document: beside its type."""

    def __init__(self, **schema: str) -> None:
        self.schema = schema

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return {**handler(core), **self.schema}


Json = Any
"""Any JSON: what is the user's own, in whatever shape."""
Time = Annotated[str, Form(format="date-time")]
Day = Annotated[str, Form(format="date")]
Place = Annotated[str, Form(pattern=r"^[0-9]{1,15}\.")]
"""Where a list of effects goes on, see :func:`nightproof.views.ledger.cursor`."""


def iso(ms: int | None) -> str | None:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    return None if ms is None else clock.from_ms(ms).isoformat(timespec="milliseconds")


def real(value: Any) -> float:
    """A recorded number as one to reckon with; NaN for what is none, infinite what is too large."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return nan
    try:
        float(value)
    except OverflowError:
        return inf if value > 0 else -inf
    return value


def duration(seconds: float | None) -> str:
    """A duration in at most two units."""
    if seconds is None:
        return "-"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {int(seconds) % 60} s"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"


def parsed(data: bytes | None) -> Any:
    """Stored JSON as a value; text where it is damaged."""
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def preview(data: bytes | None, limit: int = PREVIEW) -> str:
    """The beginning of stored JSON, in one line of at most `limit` characters."""
    if not data:
        return ""
    # A character takes at most four bytes; a megabyte is not decoded for its beginning.
    begin = data[: limit * 4 + 4].decode("utf-8", "replace")
    # Half a secret is not recognised: before it is cut.
    text = " ".join(redact(begin).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def typed(text: str) -> bytes:
    """What a person typed as JSON, as it goes on record. Raises ValueError where it is none."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def whole(text: str) -> str:
    """A text that every store can look for: half of a surrogate pair is in none."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")

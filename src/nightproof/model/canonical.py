"""Canonical JSON (RFC 8785, JCS) and the sha256 digests taken over it.

One rule is added to RFC 8785: members of an object whose value is null are
dropped, at every depth, so that unset, null and absent are one thing and have
one digest (as SLSA v1 reads its fields). Nulls in arrays stay, since there the
position counts, and empty arrays and objects stay, since a list of no
countries is not the default list.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import rfc8785

from nightproof.errors import CodecError

MAX_INT = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (IEEE 754)."""


def canonical(value: Any) -> bytes:
    """The canonical JSON of `value`, which is JSON data: what ``json.loads`` gives.

    1 and 1.0 are the same number here, as are 0.0 and -0.0. Raises CodecError,
    naming the place, for NaN and infinities, whole numbers beyond ±(2^53 - 1),
    text that is not Unicode, keys that are not text, and anything that is not
    JSON data (a Decimal, a datetime).
    """
    try:
        return rfc8785.dumps(_without_nulls(value))
    except ValueError:
        raise _refusal(value) from None
    except RecursionError:
        raise CodecError(
            "the value is nested too deeply for canonical JSON", "Flatten it, or cut the cycle."
        ) from None


def digest(value: Any) -> str:
    """``sha256:<hex>`` over the canonical JSON of `value`."""
    return "sha256:" + sha256_hex(canonical(value))


def sha256_hex(data: bytes) -> str:
    """The sha256 of `data`, as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nulls(item) for item in value]
    return value


def _refusal(value: Any) -> CodecError:
    """Find the first thing that canonical JSON cannot hold, and say where it is."""
    path, what, hint = _culprit(value, "") or ("", "the value cannot be written", "")
    return CodecError(f"{path or 'value'}: {what}", hint)


def _culprit(value: Any, path: str) -> tuple[str, str, str] | None:
    if isinstance(value, dict):
        return _culprit_in_object(value, path)
    if isinstance(value, (list, tuple)):
        found = (_culprit(item, f"{path}[{index}]") for index, item in enumerate(value))
        return next((hit for hit in found if hit), None)
    what, hint = _fault(value)
    return (path, what, hint) if what else None


def _fault(value: Any) -> tuple[str, str]:
    """What is wrong with one scalar and what to write; empty where nothing is."""
    if isinstance(value, str) and not _is_unicode(value):
        return "the text holds a lone surrogate", "Write valid Unicode."
    if isinstance(value, int) and abs(value) > MAX_INT:
        return (
            f"{value} is beyond 2^53 - 1 and would lose digits in JSON",
            f'Write it as text: "{value}".',
        )
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a JSON number", "Leave it out or use null."
    if value is None or isinstance(value, (str, int, float)):
        return "", ""
    return (
        f"a {type(value).__name__} is not JSON data",
        "Encode it first (Decimal and datetime as text).",
    )


def _culprit_in_object(value: dict[Any, Any], path: str) -> tuple[str, str, str] | None:
    for key, item in value.items():
        if not isinstance(key, str):
            return path, f"the key {key!r} is not text", "Use text as keys."
        if not _is_unicode(key):
            return path, "a key holds a lone surrogate", "Write valid Unicode."
        if hit := _culprit(item, f"{path}.{key}" if path else key):
            return hit
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

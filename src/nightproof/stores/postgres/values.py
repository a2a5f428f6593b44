"""Values on their way to and from Postgres.

Parameters go as text, except bytes; results come in the binary format. Types are the
server's to infer, so the same statement takes a number for any integer column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

BYTEA: Final = 17
TEXT: Final = 25

Value = int | float | str | bytes | bool | Sequence[Any] | None
Row = tuple[Any, ...]

_NULL: Final = struct.pack("!i", -1)
_length = struct.Struct("!i").pack
_double = struct.Struct("!d").unpack


@lru_cache(512)
def numbered(sql: str) -> str:
    """A statement whose values are marked ``?``, as Postgres wants them marked."""
    first, *rest = sql.split("?")
    return first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))


def encode(values: Sequence[Any]) -> tuple[list[bytes | None], list[int]]:
    """The values as they are sent, and the format of each (0 text, 1 binary)."""
    sent: list[bytes | None] = []
    formats = []
    for value in values:
        kind = type(value)
        if kind is bytes:
            sent.append(value)
            formats.append(1)
        elif value is None:
            sent.append(None)
            formats.append(0)
        elif kind is int:
            sent.append(b"%d" % value)
            formats.append(0)
        elif isinstance(value, list):
            data, form = _array(value)
            sent.append(data)
            formats.append(form)
        else:
            sent.append(_text(value))
            formats.append(0)
    return sent, formats


def _text(value: Any) -> bytes:
    if isinstance(value, str):
        # A text of Postgres cannot hold NUL; payloads are bytea and can.
        return value.encode("utf-8", "replace").replace(b"\0", b"\xef\xbf\xbd")
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, float):
        return repr(value).encode()
    raise TypeError(f"a {type(value).__name__} cannot be sent to Postgres")


def _array(values: list[Any]) -> tuple[bytes, int]:
    """A list of numbers, or of bytes or texts (where None is allowed)."""
    some = next((value for value in values if value is not None), None)
    if some is None:
        return b"{%s}" % b",".join([b"NULL"] * len(values)), 0
    if isinstance(some, int):
        # IntEnum members are numbers too.
        return b"{%s}" % b",".join([b"%d" % value for value in values]), 0
    is_bytes = not isinstance(some, str)
    parts = [struct.pack("!iiiii", 1, 1, BYTEA if is_bytes else TEXT, len(values), 1)]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            data = value if is_bytes else _text(value)
            parts.append(_length(len(data)))
            parts.append(data)
    return b"".join(parts), 1


def _int(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _bool(data: bytes) -> bool:
    return data != b"\0"


def _float(data: bytes) -> float:
    return float(_double(data)[0])


_DECODERS: Final[dict[int, Callable[[bytes], Any]]] = {
    16: _bool,
    17: bytes,
    20: _int,
    21: _int,
    23: _int,
    25: bytes.decode,
    701: _float,
    1043: bytes.decode,
    2278: lambda _data: None,  # void, of functions
}


def decode(result: Any) -> list[Row]:
    """The rows of a result in the binary format."""
    count = result.ntuples
    if not count:
        return []
    get = result.get_value
    columns = [(n, _DECODERS[result.ftype(n)]) for n in range(result.nfields)]
    return [
        tuple([None if (data := get(row, n)) is None else read(data) for n, read in columns])
        for row in range(count)
    ]

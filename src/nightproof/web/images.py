"""Pictures by their bytes: what a file really is, and how large it would be on a screen."""

from __future__ import annotations

from typing import NamedTuple

MOST_PIXELS = 40_000_000
"""More than this could take a browser's memory: a small file can unfold to gigabytes."""


class Picture(NamedTuple):
    """A picture that browsers show; sizes in pixels."""

    media_type: str
    width: int
    height: int

    @property
    def shown(self) -> bool:
        """Whether it can be shown without harm."""
        return 0 < self.width * self.height <= MOST_PIXELS


def picture(data: bytes) -> Picture | None:
    """What picture the bytes are, None for anything else; nothing is decoded."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        return Picture("image/png", _big(data[16:20]), _big(data[20:24]))
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return Picture("image/gif", _little(data[6:8]), _little(data[8:10]))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg(data)
    return None


def _webp(data: bytes) -> Picture | None:
    kind, body = data[12:16], data[20:32]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return Picture("image/webp", _little(body[4:7]) + 1, _little(body[7:10]) + 1)
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = _little(body[1:5])
        return Picture("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return Picture("image/webp", _little(body[6:8]) & 0x3FFF, _little(body[8:10]) & 0x3FFF)
    return None


def _jpeg(data: bytes) -> Picture | None:
    """Its size is in the frame header, behind segments of any number."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return Picture("image/jpeg", _big(data[at + 7 : at + 9]), _big(data[at + 5 : at + 7]))
        at += 2 + max(2, _big(data[at + 2 : at + 4]))
    return None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")

"""What child processes say is passed on, however long their lines are."""

import asyncio

from nightproof.serving import children
from nightproof.serving.children import Children


def said(*pieces: bytes) -> tuple[list[str], str]:
    """The lines that are passed on of what a child writes, and the last that is kept of it."""
    lines: list[str] = []

    async def relay() -> str:
        stream = asyncio.StreamReader()
        for piece in pieces:
            stream.feed_data(piece)
        stream.feed_eof()
        return await Children(lines.append, lambda end: None)._relay(stream, "x")

    last = asyncio.run(relay())
    return lines, last


def test_lines_are_passed_on_one_by_one():
    """Also one that comes in pieces, and one without an end."""
    assert said(b"a\nb", b"c\n", b"d") == (["x: a", "x: bc", "x: d"], "a\nbc\nd")


def test_a_line_without_an_end_is_not_collected():
    """A megabyte without a line break neither fills the memory nor takes ever longer."""
    lines, last = said(b"y" * 1_000_000 + b"\nz\n")
    assert "".join(line.removeprefix("x: ") for line in lines) == "y" * 1_000_000 + "z"
    assert max(map(len, lines)) <= 2 * children._CHUNK + 10
    assert last.endswith("y\nz")

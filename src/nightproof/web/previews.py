"""What a page shows of a file that a run delivered: the bytes decide, then the name.

The bytes may mean harm. Whatever is shown is text that the template escapes, Markdown that
was made harmless (:mod:`nightproof.web.prose`), a picture by its own bytes, or stands in a
frame that can do nothing (see :mod:`nightproof.web.pages.artifacts`).
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath

from markupsafe import Markup

from nightproof.web.images import Picture, picture
from nightproof.web.prose import MOST_CHARACTERS, prose

LARGEST = 16 << 20
"""Bytes; a larger file is only downloaded."""
LARGEST_FRAME = 4 << 20
"""Bytes of HTML or SVG that are put into a frame."""
MOST_TEXT = 200_000
"""Characters that are shown of a text."""
MOST_LINE = 2_000
ROWS, COLUMNS, CELL = 500, 60, 300
CELLS = 12_000
"""A very wide table has fewer rows."""
_TABLE_TEXT = 1_000_000
_SAMPLE_LINES = 20
MOST_BRACKETS = 5_000
"""Of ``[`` in Markdown: each may begin a link, so each is followed to the end."""
_REACHING = re.compile(
    r"<(?=(?:link|iframe|meta|base|object|embed|portal|fencedframe)[\s/>])", re.IGNORECASE
)
_TABLES = {".csv": "", ".tsv": "\t"}
_FRAMES = {".html": "html", ".htm": "html", ".xhtml": "html", ".svg": "svg"}
_MEDIA = {
    "text/markdown": "markdown", "text/html": "html", "application/xhtml+xml": "html",
    "image/svg+xml": "svg", "text/csv": "table", "text/tab-separated-values": "table",
    "application/json": "json",
}  # fmt: skip
_NAMES = {".md": "markdown", ".markdown": "markdown", ".json": "json", **_FRAMES} | dict.fromkeys(
    _TABLES, "table"
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown; `kind` is markdown, table, text, picture, html, svg or none.

    `notes` are sentences on what is not shown, and why.
    """

    kind: str
    notes: list[str] = field(default_factory=list)
    html: Markup | None = None
    text: str = ""
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    picture: Picture | None = None


def kind_of(name: str, media_type: str | None, data: bytes) -> str:
    """How a file is shown: a picture by its bytes, all else by its type or its name's end."""
    if picture(data[:65536]) is not None:
        return "picture"
    given = (media_type or "").partition(";")[0].strip().lower()
    return _MEDIA.get(given) or _NAMES.get(PurePosixPath(name).suffix.lower(), "text")


def preview(name: str, media_type: str | None, data: bytes, digest: str = "") -> Preview:
    """The preview of a file's bytes. Blocks for up to a second."""
    kind = kind_of(name, media_type, data)
    if kind == "picture":
        return _picture(data)
    text, notes = decoded(data)
    if text is None:
        return Preview("none", ["It is neither text nor a picture that browsers know."])
    if kind in ("html", "svg"):
        if len(data) <= LARGEST_FRAME:
            return Preview(kind, notes)
        return _plain(text, [*notes, "It is too large for a frame: this is its source."])
    if kind == "markdown":
        return _markdown(text, notes, digest)
    if kind == "table":
        tab = _TABLES.get(PurePosixPath(name).suffix.lower(), "")
        tab = "\t" if (media_type or "").startswith("text/tab") else tab
        return _table(text, notes, tab)
    if kind == "json":
        text = _pretty(text)
    return _plain(text, notes)


def framed(data: bytes) -> bytes | None:
    """HTML as a frame gets it, in UTF-8; None for what is no text.

    A frame's policy stops whatever is fetched, but not that a host is looked up and connected
    to (``<link rel=preconnect>``): elements that do so, or could hide one, become unknown ones.
    """
    text, _ = decoded(data)
    return None if text is None else _REACHING.sub("<x-", text).encode("utf-8", "replace")


def decoded(data: bytes) -> tuple[str | None, list[str]]:
    """A file as text, None where it is none; and what to say about that."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(name), []
            except UnicodeDecodeError:
                return None, []
    if b"\0" in data:
        return None, []
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        pass
    odd = sum(byte < 9 or 13 < byte < 32 for byte in data[:4096])
    if odd > len(data[:4096]) / 50:
        return None, []
    return data.decode("latin-1"), ["It is not UTF-8, and shown as if it were Latin-1."]


def _picture(data: bytes) -> Preview:
    found = picture(data)
    if found is None or not found.shown:
        return Preview("none", ["The picture is too large to be shown, or damaged."])
    return Preview("picture", picture=found)


_rendered: OrderedDict[str, Markup] = OrderedDict()


def _markdown(text: str, notes: list[str], digest: str) -> Preview:
    """Kept for a while, since a live page asks for the same again and again."""
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS].rpartition("\n")[0] or text[:MOST_CHARACTERS]
        notes = [*notes, f"Only the first {MOST_CHARACTERS:,} characters are shown."]
    if text.count("[") > MOST_BRACKETS:
        return _plain(text, [*notes, "It has very many brackets: this is its text."])
    found = _rendered.get(digest) if digest else None
    if found is None:
        found = prose(text)
        if digest:
            _rendered[digest] = found
            while len(_rendered) > 16:
                _rendered.popitem(last=False)
    return Preview("markdown", notes, html=found)


def _table(text: str, notes: list[str], delimiter: str) -> Preview:
    whole = len(text) <= _TABLE_TEXT
    lines = text[:_TABLE_TEXT].splitlines(keepends=True)
    if not whole and len(lines) > 1:
        lines.pop()  # it may be cut
    delimiter = delimiter or _delimiter(lines[:_SAMPLE_LINES])
    rows: list[list[str]] = []
    wide = False
    told = list(notes)
    try:
        for row in islice(csv.reader(lines, delimiter=delimiter), ROWS + 2):
            wide = wide or len(row) > COLUMNS
            rows.append(
                [cell[: CELL - 1] + "…" if len(cell) > CELL else cell for cell in row[:COLUMNS]]
            )
    except csv.Error as error:
        if not rows:
            return _plain(text, [*notes, f"It is no table ({error}): this is its text."])
        told.append(f"Row {len(rows) + 1} is no row of a table ({error}).")
    rows = [row for row in rows if row]
    if not rows:
        return _plain(text, notes)
    columns = max(map(len, rows))
    most = min(ROWS, CELLS // columns)
    if len(rows) > most + 1 or not whole:
        rows = rows[: most + 1]
        told.append(f"Only the first {len(rows) - 1:,} rows are shown.")
    if wide:
        told.append(f"Only the first {COLUMNS} columns are shown.")
    rows = [row + [""] * (columns - len(row)) for row in rows]
    head = [cell.strip() or f"({n})" for n, cell in enumerate(rows[0], 1)]
    return Preview("table", told, head=head, rows=rows[1:])


def _delimiter(lines: list[str]) -> str:
    """What parts the columns: what is on most lines as often as on the first (csv.Sniffer can take minutes)."""

    def score(mark: str) -> tuple[int, int]:
        counts = [line[: CELL * COLUMNS].count(mark) for line in lines if line.strip()]
        first = counts[0] if counts else 0
        return (counts.count(first) if first else 0, first)

    return max(",;\t|", key=score)


def _pretty(text: str) -> str:
    """JSON in one line is set in lines, where that changes nothing but spaces."""
    given = text.strip()
    if "\n" in given or len(given) > MOST_TEXT:
        return text
    try:
        value = json.loads(given)
        same = any(
            json.dumps(value, ensure_ascii=ascii_only, separators=marks) == given
            for ascii_only in (False, True)
            for marks in ((",", ":"), (", ", ": "))
        )
        return json.dumps(value, ensure_ascii=False, indent=2) if same else text
    except (ValueError, RecursionError):
        return text


def _plain(text: str, notes: list[str]) -> Preview:
    told = list(notes)
    if len(text) > MOST_TEXT:
        text = text[:MOST_TEXT]
        told.append(f"Only the first {MOST_TEXT:,} characters are shown.")
    lines = text.splitlines()
    if any(len(line) > MOST_LINE for line in lines):
        lines = [line[:MOST_LINE] + "…" if len(line) > MOST_LINE else line for line in lines]
        told.append(f"Lines are cut behind {MOST_LINE:,} characters.")
    return Preview("text", told, text="\n".join(lines))

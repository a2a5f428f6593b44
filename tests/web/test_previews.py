"""What is shown of a file: by its bytes first, then by what it is said to be."""

import json
import struct
from typing import Any

import pytest
from parts_jobs import png

from nightproof.web import images, previews
from nightproof.web.previews import preview
from nightproof.web.prose import prose


def jpeg(width: int, height: int) -> bytes:
    """The head of a JPEG, with segments before its size."""
    app = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9)
    table = b"\xff\xc4" + struct.pack(">H", 4) + bytes(2)
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + app + b"\xff" + table + frame


def webp(kind: bytes, body: bytes) -> bytes:
    return b"RIFF" + bytes(4) + b"WEBP" + kind + bytes(4) + body + bytes(20)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (png(3, 4), ("image/png", 3, 4)),
        (b"GIF89a" + struct.pack("<HH", 5, 6) + bytes(9), ("image/gif", 5, 6)),
        (jpeg(7, 8), ("image/jpeg", 7, 8)),
        (webp(b"VP8X", bytes(4) + b"\x63\0\0\x31\0\0"), ("image/webp", 100, 50)),
        (webp(b"VP8L", b"\x2f" + struct.pack("<I", 9 | 19 << 14)), ("image/webp", 10, 20)),
        (
            webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 11, 12)),
            ("image/webp", 11, 12),
        ),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"\xff\xd8\xff" + b"\xff" * 50_000, None),
        (b"\xff\xd8\xff\xe0\0\0" * 1000, None),
        (b"RIFF....WEBPVP8 ", None),
        (b"BM" + bytes(100), None),
        (b"<svg/>", None),
        (b"", None),
    ],
)
def test_pictures_are_known_by_their_bytes(data: bytes, found: Any):
    """With their size; damaged heads are no pictures."""
    assert images.picture(data) == found


def test_a_table_is_read_as_it_is_written():
    """With the mark that all lines have; quotes hold marks and line ends."""
    assert preview("a.csv", None, b'a;b\n"x;\ny";2,5\n').rows == [["x;\ny", "2,5"]]
    assert preview("a.csv", None, b"a,b\n1,2\n").head == ["a", "b"]
    assert preview("a.tsv", None, b"a,b\tc\n1\t2\n").head == ["a,b", "c"]
    assert preview("a", "text/csv; charset=utf-8", b"a|b\n1|2\n").rows == [["1", "2"]]
    assert preview("a.csv", None, b"\xef\xbb\xbfa,b\n\n1\n").rows == [["1", ""]]
    assert preview("a.csv", None, b"").kind == "text"


def test_a_table_that_ends_in_harm_is_shown_to_there():
    """A field without end, a line of a million characters: the rest is said to be none."""
    found = preview("a.csv", None, b"a,b\n1,2\n" + b"x" * 900_000)
    assert (found.rows[0], "no row of a table" in found.notes[0]) == (["1", "2"], True)
    assert preview("a.csv", None, b"x" * 5_000_000).kind == "text"
    wide = preview("a.csv", None, b"," * 1_000_000)
    assert len(wide.head) == previews.COLUMNS
    long = preview("a.csv", None, b"a,b\n" + b"1,2\n" * 10_000)
    assert (len(long.rows), long.notes) == (500, ["Only the first 500 rows are shown."])


def test_json_is_set_in_lines_only_where_nothing_changes():
    """Numbers as they stand, names that are there twice, nesting without end: as it is."""
    for text in ('{"a":[1,2.5]}', '{"a": [1, 2.5]}', '["\\u00fc"]', '["ü"]'):
        shown = preview("a.json", None, text.encode()).text
        assert "\n" in shown
        assert json.loads(shown) == json.loads(text)
    for text in ('{"a":1.10}', '{"a":1,"a":2}', "[1e400]", "[" * 50_000, "nonsense", "1" * 5000):
        assert preview("a.json", None, text.encode()).text.replace("…", "") in text


def test_what_is_no_text_is_not_shown_as_text():
    """NUL, broken UTF-16, control characters; other encodings are said to be guessed."""
    for data in (b"a\0b", b"\xff\xfe\0", bytes(range(1, 32)) * 20 + b"\xff"):
        assert preview("a.txt", None, data).kind == "none"
    guessed = preview("a.txt", None, "Köln".encode("latin-1"))
    assert (guessed.text, guessed.notes) == (
        "Köln",
        ["It is not UTF-8, and shown as if it were Latin-1."],
    )


def test_a_frame_s_html_is_its_text_in_utf_8():
    """UTF-16 cannot smuggle an element, nor another case, or a line end behind its name."""
    for given in ("<LINK\nrel=x>", "<link/rel=x>", "<lInK\trel=x>", "<iframe srcdoc='&lt;link'>"):
        for encoding in ("utf-8", "utf-16", "utf-8-sig"):
            found = previews.framed(given.encode(encoding))
            assert found is not None
            assert found.startswith(b"<x-")
    assert previews.framed("<linked>ü</linked>".encode()) == "<linked>ü</linked>".encode()
    assert previews.framed(b"\0") is None


@pytest.mark.parametrize(
    "text",
    [
        "[a](javascript:x)", "[a](JAVASCRIPT:x)", "[a](data:text/html,x)", "[a](vbscript:x)",
        "[a](/act/cancel)", "[a](//evil.invalid)", "[a](\\\\evil.invalid)", "[a](&#106;avascript:x)",
        "<javascript:x>", "[a]: javascript:x\n\n[a]", "![a](javascript:x)", "[a](file:///etc/passwd)",
        "<img src=x onerror=x>", "<a href=x>", "<!-- x --><style>x</style>", "&lt;script>",
        "[a](<java\nscript:x>)", "[a](.)", "[a](#x)",
    ],
)  # fmt: skip
def test_markdown_makes_no_link_and_no_element(text: str):
    """Of what could act; it is shown as text."""
    found = str(prose(text))
    assert "<a" not in found
    assert "<img" not in found
    assert "<script" not in found
    assert "<style" not in found


def test_markdown_of_terminal_codes_and_turned_text():
    """Both are gone, as characters and as entities."""
    found = str(prose("\x1b[31mred\x1b[0m \u202e &#x202e; &#27;[31m &#0;"))
    assert "\x1b" not in found
    assert "\u202e" not in found

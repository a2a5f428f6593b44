"""What a run delivered: shown and handed out only as recorded, and never with rights."""

import json
import os
import shutil
from hashlib import sha256
from html import unescape
from pathlib import Path
from re import findall
from typing import Any

import apsw
import httpx2
import pytest
from parts_house import build
from parts_jobs import EVIL, PAGE

from nightproof import app
from nightproof.views import delivered

SAFE = {
    "sandbox": "",
    "default-src": "'none'",
    "form-action": "'none'",
    "base-uri": "'none'",
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: Any, serving: Any, house: Any) -> Any:
    """A dashboard on runs that mean harm."""
    folder = tmp_path_factory.mktemp("parts")
    return serving(type(house)(folder, build(folder)))


@pytest.fixture
def own(parts: Any, tmp_path: Path, serving: Any) -> Any:
    """A copy of it whose files may be changed."""
    shutil.copytree(parts.house.folder, tmp_path / "own", copy_function=os.link)
    journal = tmp_path / "own" / ".nightproof" / "journal.db"
    for path in journal.parent.glob("journal.db*"):
        data = path.read_bytes()
        path.unlink()  # or the original would be written to
        path.write_bytes(data)
    made = serving(type(parts.house)(tmp_path / "own", parts.house.runs))
    with apsw.Connection(str(journal)) as db:
        db.execute(
            "UPDATE entry SET output = CAST(replace(CAST(output AS TEXT), ?, ?) AS BLOB) "
            "WHERE kind IN (6, 7)",
            (str(parts.house.folder), str(tmp_path / "own")),
        )
    return made


def numbers(running: Any) -> dict[str, int]:
    """The numbers of the harmful run's artifacts, by name; the last of each."""
    run = running.house.runs["harmful"]
    body = running.get(f"/runs/{run}/artifacts").text
    found = findall(r'<a href="/runs/[^"]*/artifacts/(\d+)">([^<]*)</a>', body)
    return {unescape(name): int(n) for n, name in found}


def at(running: Any, name: str, more: str = "") -> str:
    """The address of an artifact."""
    return f"/runs/{running.house.runs['harmful']}/artifacts/{numbers(running)[name]}{more}"


def place(running: Any, name: str) -> Path:
    """Where an artifact lies."""
    run = running.house.runs["harmful"]
    return running.house.folder / ".nightproof" / "artifacts" / run / name


def policy(answer: Any) -> dict[str, str]:
    """The answer's content policy, by directive."""
    parts = [
        one.strip().partition(" ") for one in answer.headers["content-security-policy"].split(";")
    ]
    return {name: value for name, _, value in parts}


def test_every_artifact_is_listed_with_what_is_known(parts: Any):
    """By name, with what lies on the machine; one that was replaced says so."""
    body = parts.get(f"/runs/{parts.house.runs['harmful']}/artifacts").text
    assert "page.html" in numbers(parts)
    assert "replaced later" in body
    assert (body.count(">as delivered<"), body.count(">same size<")) == (22, 2)
    assert "\u202e" not in body


def test_a_file_is_always_a_download(parts: Any):
    """Whatever it is: no type that a browser would show, no rights, the recorded bytes."""
    for name in numbers(parts):
        answer = parts.get(at(parts, name, "/file"))
        assert answer.status_code == 200, name
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-disposition"].startswith('attachment; filename="')
        assert int(answer.headers["content-length"]) == len(answer.content)
        found = policy(answer)
        assert SAFE.items() <= found.items()
        assert found["frame-ancestors"] == "'none'"
    assert parts.get(at(parts, "page.html", "/file")).text.startswith("<!doctype html>")
    head = httpx2.head(parts.url + at(parts, "page.html", "/file"))
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(PAGE.replace("http://127.0.0.1:9", EVIL))


def test_a_bad_name_stays_one_harmless_name(parts: Any):
    """No folder, quote, line end or turned text gets into the name of a download."""
    (name,) = (one for one in numbers(parts) if one.startswith("folder/"))
    given = parts.get(at(parts, name, "/file")).headers["content-disposition"]
    assert given == (
        'attachment; filename="_gnp.exe _q_; x=__.html"; '
        "filename*=UTF-8''_gnp.exe%20_q_%3B%20x%3D__.html"
    )


def test_a_frame_has_no_rights(parts: Any):
    """HTML and SVG come with a policy that makes the frame a foreign site and fetches nothing."""
    for name in ("page.html", "typed.txt", "drawing.svg"):
        answer = parts.get(at(parts, name, "/sandbox"))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "x-frame-options" not in answer.headers
        found = policy(answer)
        assert SAFE.items() <= found.items()
        assert found["frame-ancestors"] == "'self'"
        assert found["img-src"] == "data:"
        assert found["style-src"] == "'unsafe-inline'"
        assert "script-src" not in found
    assert b"<script" not in parts.get(at(parts, "drawing.svg", "/sandbox")).content


def test_a_frame_cannot_reach_a_host(parts: Any):
    """What a policy cannot stop (preconnect) is no element any more, in any case and encoding."""
    body = parts.get(at(parts, "page.html", "/sandbox")).text.lower()
    for element in ("link", "meta", "base", "iframe", "object", "embed", "portal"):
        assert f"<{element} " not in body
        assert f"<x-{element} " in body


def test_only_what_can_be_framed_is_framed(parts: Any):
    """Text, tables and what only says that it is a picture have no frame of their own."""
    for name in ("plain.txt", "false.png", "one.json", "lines.csv", "bytes.bin", "prose.md"):
        assert parts.get(at(parts, name, "/sandbox")).status_code == 404, name


def test_a_picture_is_what_its_bytes_are(parts: Any):
    """Never what its name or type says; what unfolds to gigabytes is not shown."""
    for name in ("real.png", "polyglot.png"):
        answer = parts.get(at(parts, name, "/sandbox"))
        assert answer.headers["content-type"] == "image/png"
        assert "sandbox" in policy(answer)
        assert '<img class="shot"' in parts.get(at(parts, name)).text
    assert parts.get(at(parts, "polyglot.html", "/sandbox")).headers["content-type"] == "image/gif"
    assert "<iframe" not in parts.get(at(parts, "polyglot.html")).text
    assert parts.get(at(parts, "bomb.png", "/sandbox")).status_code == 404
    assert "too large to be shown" in parts.get(at(parts, "bomb.png")).text
    assert "<img" not in parts.get(at(parts, "false.png")).text


def test_a_frame_is_no_page(parts: Any):
    """Opened by itself it leads to the page around it; a frame and a picture get it."""
    path = at(parts, "page.html", "/sandbox")
    for kind in ("document", "object", "embed"):
        answer = parts.get(path, headers={"Sec-Fetch-Dest": kind})
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            path.removesuffix("/sandbox"),
        )
    for kind in ("iframe", "image"):
        assert parts.get(path, headers={"Sec-Fetch-Dest": kind}).status_code == 200


def test_no_preview_is_larger_than_a_page_may_be(parts: Any):
    """Ten megabytes in a line, wide tables, deep JSON: cut, and said to be."""
    for name in numbers(parts):
        answer = parts.get(at(parts, name))
        assert answer.status_code == 200, name
        assert len(answer.content) < 700_000, name
        assert "\u202e" not in answer.text
        assert PAGE[:60] not in answer.text
    assert "Only the first" in parts.get(at(parts, "lines.csv")).text
    assert "Lines are cut" in parts.get(at(parts, "deep.json")).text
    assert "very many brackets" in parts.get(at(parts, "large.md")).text
    assert "larger than 16 MiB" in parts.get(at(parts, "large.bin")).text
    assert "neither text nor a picture" in parts.get(at(parts, "bytes.bin")).text
    assert "is empty" in parts.get(at(parts, "empty.txt")).text
    for name, text in (("latin.txt", "Grüße"), ("utf16.txt", "Grüße aus Köln")):
        assert text in parts.get(at(parts, name)).text
    assert "&#34;b&#34;: [" in parts.get(at(parts, "one.json")).text


def test_markdown_is_text_and_structure(parts: Any):
    """No element of its own, no picture from elsewhere, no link but to http and mail."""
    body = parts.get(at(parts, "prose.md")).text.partition('<article class="card prose"')[2]
    body = body.partition("</article>")[0]
    assert "<h3>Prose &lt;script&gt;" in body
    assert "<script" not in body
    assert "<img" not in body
    assert "style=" not in body
    assert "[picture: beacon]" in body
    assert [one.partition(":")[0] for one in findall(r'href="([^"]*)', body)] == ["http", "http"]
    assert findall(r"<\w+ [^>]*\bon\w+=", body) == []
    assert '<td class="num">' in body


def test_another_artifact_than_the_run_s_own_has_no_page(parts: Any):
    """A number that is none, or of something else in its history, or not a number."""
    run, other = parts.house.runs["harmful"], parts.house.runs["secretive"]
    for n in ("0/../../x", "-1", "x", "9" * 30, "9" * 17, "%31%2e%2e", "1.0", "\u0661", "999"):
        assert parts.get(f"/runs/{run}/artifacts/{n}").status_code == 404, n
    for more in ("", "/file", "/sandbox"):
        assert parts.get(f"/runs/{other}/artifacts/0{more}").status_code == 404


def replaced(path: Path, how: str) -> str:
    """Put something else in a file's place; a text that must not be shown."""
    size = path.stat().st_size
    kept = path.read_bytes()
    path.unlink()
    if how == "same size":
        path.write_bytes(b"HIDDEN" + b"x" * (size - 6))
    elif how == "other size":
        path.write_text("HIDDEN")
    elif how == "link":
        path.symlink_to("/etc/passwd")
    elif how == "link to itself":
        path.symlink_to(path)
    elif how == "link to the same":
        path.with_name("moved").write_bytes(kept)
        path.symlink_to(path.with_name("moved"))
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "device":
        path.symlink_to("/dev/zero")
    elif how == "endless":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    return "root:" if how == "link" else "HIDDEN"


@pytest.mark.parametrize(
    "how",
    [
        "same size", "other size", "link", "link to itself", "link to the same", "pipe", "folder",
        "device", "endless", "gone",
    ],
)  # fmt: skip
def test_what_is_no_longer_the_artifact_is_not_shown(own: Any, how: str):
    """Whatever has taken its place, and without waiting for it."""
    hidden = replaced(place(own, "plain.txt"), how)
    page = own.get(at(own, "plain.txt"))
    assert page.status_code == 200
    assert hidden not in page.text
    said = "not on this machine" if how == "gone" else "no longer what the run delivered"
    assert said in page.text
    assert "Download</a>" not in page.text
    answer = own.get(at(own, "plain.txt", "/file"))
    assert (answer.status_code, hidden in answer.text) == (404, False)
    shutil.copy(place(own, "page.html"), place(own, "kept"))
    hidden = replaced(place(own, "page.html"), how)
    answer = own.get(at(own, "page.html", "/sandbox"))
    assert (answer.status_code, hidden in answer.text) == (404, False)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../../etc/passwd", "/proc/self/environ", "a\0b", "\ud800", "/" * 5000],
)
def test_a_journal_that_names_another_file_does_not_show_it(own: Any, path: str):
    """Only bytes with the recorded sha256 leave; the path is only shown."""
    number = numbers(own)["plain.txt"]
    note = {"path": path, "name": path, "sha256": sha256(b"x").hexdigest()}
    with apsw.Connection(str(own.house.folder / ".nightproof" / "journal.db")) as db:
        db.execute(
            "UPDATE entry SET output = ? WHERE kind = 6 AND seq = ?",
            (json.dumps(note).encode(), number),
        )
    run = own.house.runs["harmful"]
    for more in ("", "/file", "/sandbox"):
        answer = own.get(f"/runs/{run}/artifacts/{number}{more}")
        assert answer.status_code in (200, 404)
        assert "root:" not in answer.text
        assert "PATH=" not in answer.text
    assert own.get(f"/runs/{run}/artifacts").status_code == 200


def note_of(running: Any, n: int, **more: str) -> None:
    """Add to what the journal says of an artifact."""
    with apsw.Connection(str(running.house.folder / ".nightproof" / "journal.db")) as db:
        where = "WHERE kind = 6 AND seq = ?"
        ((data,),) = db.execute(f"SELECT CAST(output AS TEXT) FROM entry {where}", (n,))
        note = json.dumps({**json.loads(data), **more}).encode()
        db.execute(f"UPDATE entry SET output = ? {where}", (note, n))


def test_a_file_of_another_machine_comes_from_the_blob_store(own: Any):
    """Where the engine keeps it there for all; and only if it is what was delivered."""
    blobs = app.open_blobs(own.house.settings())
    number, path = numbers(own)["page.html"], at(own, "page.html")
    data = place(own, "page.html").read_bytes()
    place(own, "page.html").unlink()
    note_of(own, number, blob=blobs.put(data).digest)
    assert "in the blob store" in own.get(path.rpartition("/")[0]).text
    assert "<iframe" in own.get(path).text
    assert own.get(path + "/sandbox").status_code == 200
    answer = own.get(path + "/file")
    assert (answer.status_code, answer.content) == (200, data)
    assert "sandbox" in policy(answer)
    for blob in (blobs.put(b"HIDDEN" * 9).digest, "sha256:" + "0" * 64, "../../../etc/passwd"):
        note_of(own, number, blob=blob)
        for more in ("", "/file", "/sandbox"):
            answer = own.get(path + more)
            assert answer.status_code == (404 if more else 200)
            assert "HIDDEN" not in answer.text


def test_the_manifest_is_checked(own: Any):
    """Sound, edited, gone: as its own bytes and the journal say."""
    assert ">sound<" in own.get(at(own, "one.json")).text
    manifest = place(own, "one.json.manifest.json")
    data = manifest.read_bytes()
    manifest.unlink()
    manifest.write_bytes(data.replace(b'"replicate":0', b'"replicate":7'))
    body = own.get(at(own, "one.json")).text
    assert ">does not fit<" in body
    assert "not the one that was sealed" in body
    manifest.write_text("[" * 100_000)
    assert ">does not fit<" in own.get(at(own, "one.json")).text
    manifest.unlink()
    os.mkfifo(manifest)
    assert ">gone<" in own.get(at(own, "one.json")).text


def test_a_file_that_changes_while_it_is_read_is_broken_off(tmp_path: Path):
    """Its last piece never leaves."""
    path = tmp_path / "file"
    data = os.urandom(3 << 18)
    path.write_bytes(data)
    digest = sha256(data).hexdigest()
    assert b"".join(delivered.pieces(str(path), digest, len(data))) == data
    reading = delivered.pieces(str(path), digest, len(data))
    sent = [next(reading)]
    with path.open("r+b") as file:
        file.seek(len(data) - 5)
        file.write(b"HIDDEN")
    with pytest.raises(delivered.Undelivered, match="changed while it was read"):
        sent.extend(reading)
    assert b"HIDDEN" not in b"".join(sent)


def test_a_file_that_grows_or_shrinks_is_not_the_artifact(tmp_path: Path):
    """Of a wrong size it is not even read; an empty one is an artifact too."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    empty = sha256(b"").hexdigest()
    assert list(delivered.pieces(str(path), empty, 0)) == [b""]
    assert delivered.content(str(path), empty, 0, 10) == b""
    path.write_bytes(b"more")
    with pytest.raises(delivered.Undelivered, match="4 bytes, the run delivered 0"):
        delivered.content(str(path), empty, 0, 10)
    with pytest.raises(delivered.Undelivered, match="more than the 2"):
        delivered.content(str(path), sha256(b"more").hexdigest(), None, 2)

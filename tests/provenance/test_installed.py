"""Edited installed files: found cheaply, and named with what they are now."""

import base64
import os
from hashlib import sha256
from pathlib import Path

import pytest

from nightproof.provenance.snapshot import capture, request
from nightproof.provenance.snapshot import installed as looking
from nightproof.provenance.snapshot.installed import Edited, edited
from nightproof.provenance.snapshot.packages import packages

FILES = {
    "moon/__init__.py": b"PHASE = 1\n",
    "moon/a, b.txt": b"a name with a comma\n",
    "moon/data.bin": b"\x00" * 50,
    "moon-1.0.dist-info/METADATA": b"Name: moon\nVersion: 1.0\n",
}
HOUR = 3600 * 10**9


def digest(data: bytes) -> str:
    """As an item has it."""
    return "sha256:" + sha256(data).hexdigest()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which moon 1.0 was installed an hour ago."""
    rows = []
    for name, data in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        hashed = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
        shown = f'"{name}"' if "," in name else name
        rows.append(f"{shown},sha256={hashed},{len(data)}")
    record = tmp_path / "moon-1.0.dist-info/RECORD"
    record.write_text("\n".join([*rows, "moon-1.0.dist-info/RECORD,,"]) + "\n")
    then = record.stat().st_mtime_ns - HOUR
    for path in tmp_path.rglob("*"):
        os.utime(path, ns=(then, then + (path == record)))
    return tmp_path


def look(site: Path, everything: bool = False) -> Edited:
    """What the check finds there."""
    return edited(packages([str(site)]).distributions, everything)


def test_untouched_files_are_not_hashed(site: Path) -> None:
    """Sizes and times are enough; the full check hashes all and finds nothing either."""
    assert look(site) == Edited({}, 0, 0)
    assert look(site, everything=True) == Edited({}, len(FILES), 0)


def test_an_edit_of_the_same_size_is_seen_by_its_time(site: Path) -> None:
    """The item names package and file, and the digest of what is there now."""
    (site / "moon/__init__.py").write_bytes(b"PHASE = 2\n")
    assert look(site).items == {"edited/moon/moon/__init__.py": digest(b"PHASE = 2\n")}


def test_an_edit_in_the_tick_of_the_installation_is_seen(site: Path) -> None:
    """A file of RECORD's very time is hashed; but not where times are whole seconds."""
    record = site / "moon-1.0.dist-info/RECORD"
    file = site / "moon/__init__.py"
    file.write_bytes(b"PHASE = 2\n")
    tick = 1_700_000_000_000_000_001
    for path in (record, file):
        os.utime(path, ns=(tick, tick))
    assert len(look(site).items) == 1
    for path in (record, file):
        os.utime(path, ns=(tick - 1, tick - 1))
    assert look(site).items == {}


@pytest.mark.parametrize(
    ("name", "data"), [("__init__.py", b"PHASE = 22\n"), ("a, b.txt", b"short")]
)
def test_another_size_is_seen_whatever_the_time(site: Path, name: str, data: bytes) -> None:
    """A restored time does not hide it, and a comma in a name does not either."""
    file = site / "moon" / name
    before = file.stat().st_mtime_ns
    file.write_bytes(data)
    os.utime(file, ns=(before, before))
    assert look(site).items == {f"edited/moon/moon/{name}": digest(data)}


def test_the_full_check_finds_what_time_and_size_hide(site: Path) -> None:
    """That is what it is for."""
    file = site / "moon/__init__.py"
    before = file.stat().st_mtime_ns
    file.write_bytes(b"PHASE = 2\n")
    os.utime(file, ns=(before, before))
    assert look(site).items == {}
    assert look(site, everything=True).items == {
        "edited/moon/moon/__init__.py": digest(b"PHASE = 2\n")
    }


def test_a_file_that_is_gone_is_missing(site: Path) -> None:
    """A deleted module changes results as well."""
    (site / "moon/data.bin").unlink()
    assert look(site).items == {"edited/moon/moon/data.bin": "missing"}


def test_files_that_were_only_copied_are_no_edits(site: Path) -> None:
    """New times alone change nothing."""
    for name in FILES:
        (site / name).touch()
    assert look(site) == Edited({}, len(FILES), 0)


def test_of_too_many_new_files_the_newest_are_hashed(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is counted; the full check has no such bound."""
    for name in FILES:
        (site / name).touch()
    file = site / "moon/__init__.py"
    file.write_bytes(b"PHASE = 2\n")
    late = (site / "moon/data.bin").stat().st_mtime_ns + HOUR
    os.utime(file, ns=(late, late))
    monkeypatch.setattr(looking, "MAX_FILES", 1)
    found = look(site)
    assert list(found.items) == ["edited/moon/moon/__init__.py"]
    assert (found.checked, found.passed) == (1, len(FILES) - 1)
    assert look(site, everything=True).passed == 0


def test_a_snapshot_has_them_in_its_strict_part(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest of the package stays, since the wheel is the same; the edit is an item."""
    monkeypatch.syspath_prepend(str(site))
    before = capture(request("", ()))
    (site / "moon/__init__.py").write_bytes(b"PHASE = 2\n")
    after = capture(request("", ()))
    assert after.strict["package/moon"] == before.strict["package/moon"]
    assert set(after.strict) - set(before.strict) == {"edited/moon/moon/__init__.py"}
    assert before.digests["strict"] != after.digests["strict"]
    full = capture(request("", ()), verify=True)
    assert full.digests["strict"] == after.digests["strict"]
    assert full.host["installed/verified"].endswith(" files")

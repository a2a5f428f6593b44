"""Packages in a snapshot: the same for every installer and place, another for other content."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nightproof.errors import ConfigError
from nightproof.provenance.locking.uv import command
from nightproof.provenance.snapshot.installed import edited
from nightproof.provenance.snapshot.packages import packages, wheel_rows


def install(wheel: Path, place: Path, *options: str) -> str:
    """Install with pip into a folder; the item of the snapshot."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-cache-dir",
         "--disable-pip-version-check", "--root-user-action", "ignore", "--target", str(place),
         *options, str(wheel)],
        check=True,
    )  # fmt: skip
    return packages([str(place)]).items["package/moon-phase"]


def test_pip_installs_agree_wherever_and_however(
    wheel: Callable[..., Path], tmp_path: Path
) -> None:
    """Another folder and --no-compile change the RECORD, and not the item."""
    made = wheel()
    here = install(made, tmp_path / "here")
    there = install(made, tmp_path / "there" / "deeper", "--no-compile")
    assert here == there
    assert here.startswith("1.0 sha256:")
    record = "moon_phase-1.0.dist-info/RECORD"
    assert (tmp_path / "here" / record).read_bytes() != (
        tmp_path / "there/deeper" / record
    ).read_bytes()


def test_uv_installs_agree_with_pip_s(wheel: Callable[..., Path], tmp_path: Path) -> None:
    """uv writes another RECORD for the same wheel; the item is the same, and so is every file."""
    try:
        uv = command()
    except ConfigError as error:
        pytest.skip(error.message)
    made = wheel()
    place = tmp_path / "by-uv"
    asked = [*uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--no-cache"]
    subprocess.run([*asked, "--target", str(place), str(made)], check=True)
    found = packages([str(place)])
    assert found.items["package/moon-phase"] == install(made, tmp_path / "by-pip")
    record = "moon_phase-1.0.dist-info/RECORD"
    assert (place / record).read_bytes() != (tmp_path / "by-pip" / record).read_bytes()
    for folder in (place, tmp_path / "by-pip"):
        assert edited(packages([str(folder)]).distributions, everything=True).items == {}


def test_another_content_of_one_version_is_seen(wheel: Callable[..., Path], tmp_path: Path) -> None:
    """The same name and version with another file in it is another item; so is a version."""
    first = install(wheel(), tmp_path / "a")
    other = install(wheel(body="PHASE = 2\n", folder="rebuilt"), tmp_path / "b")
    newer = install(wheel("1.1"), tmp_path / "c")
    assert len({first, other, newer}) == 3
    assert other.startswith("1.0 ")
    assert newer.startswith("1.1 ")


INSTALLED = {
    "pip": (
        "../../../bin/moon,sha256=AAAA,200\n"
        "moon-1.dist-info/INSTALLER,sha256=zuuu,4\n"
        "moon-1.dist-info/METADATA,sha256=BBBB,9\n"
        "moon-1.dist-info/RECORD,,\n"
        "moon-1.dist-info/REQUESTED,sha256=47DE,0\n"
        "moon-1.dist-info/direct_url.json,sha256=CCCC,60\n"
        "moon/__init__.py,sha256=DDDD,10\n"
        "moon/__pycache__/__init__.cpython-311.pyc,,\n"
    ),
    "another pip": (
        "../../bin/moon,sha256=EEEE,201\n"
        "moon-1.dist-info/INSTALLER,sha256=zuuu,4\n"
        "moon-1.dist-info/METADATA,sha256=BBBB,9\n"
        "moon-1.dist-info/RECORD,,\n"
        "moon/__init__.py,sha256=DDDD,10\n"
    ),
    "uv": (
        "moon/__init__.py,sha256=DDDD,10\r\n"
        "moon-1.dist-info/METADATA,sha256=BBBB,9\r\n"
        "moon-1.dist-info/INSTALLER,sha256=5hhM,2\r\n"
        "moon-1.dist-info/RECORD,,\r\n"
        "moon/__pycache__/__init__.cpython-311.pyc,sha256=FFFF,77\r\n"
    ),
}


@pytest.mark.parametrize("installer", INSTALLED)
def test_only_the_rows_of_the_wheel_count(installer: str) -> None:
    """What an installer adds, its order and its line ends are left out."""
    assert wheel_rows(INSTALLED[installer].encode(), "moon-1.dist-info") == [
        b"moon-1.dist-info/METADATA,sha256=BBBB,9",
        b"moon/__init__.py,sha256=DDDD,10",
    ]


def test_a_package_called_bin_counts() -> None:
    """``--target`` puts scripts into ``bin``, but that may be a package of the wheel as well."""
    script = b"bin/moon,sha256=AAAA,1\nmoon.py,sha256=BBBB,1\n"
    assert wheel_rows(script, "m.dist-info") == [b"moon.py,sha256=BBBB,1"]
    package = b"bin/__init__.py,sha256=CCCC,1\n" + script
    assert len(wheel_rows(package, "m.dist-info")) == 3


def test_a_file_of_that_name_elsewhere_counts() -> None:
    """A package may ship a file called INSTALLER; only the installer's own is left out."""
    record = b"moon/INSTALLER,sha256=AAAA,1\nx/direct_url.json,sha256=BBBB,1"
    assert len(wheel_rows(record, "m.dist-info")) == 2


def test_the_first_on_the_path_counts_and_names_are_normal(tmp_path: Path) -> None:
    """Two distributions of one name, old metadata, folders that are none, and no RECORD."""
    for folder, name in [
        ("first", "Moon.Phase_x-2.0.dist-info"),
        ("second", "moon_phase_x-1.0.dist-info"),
        ("second", "old_one-0.3-py3.11.egg-info"),
        ("second", "no_info-1.0"),
    ]:
        (tmp_path / folder / name).mkdir(parents=True)
    path = [str(tmp_path / "first"), str(tmp_path / "missing"), str(tmp_path / "second")]
    assert packages(path).items == {"package/moon-phase-x": "2.0", "package/old-one": "0.3"}


def test_an_editable_install_is_its_source(tmp_path: Path) -> None:
    """The digest is that of the code, not of the path in the .pth file."""
    items = []
    for place in ("here", "there"):
        project = tmp_path / place / "project"
        (project / "src/moon").mkdir(parents=True)
        (project / "src/moon/__init__.py").write_text("PHASE = 1\n")
        info = tmp_path / place / "site" / "moon-1.dist-info"
        info.mkdir(parents=True)
        (info / "RECORD").write_text(f"__editable__.moon.pth,sha256={place},1\n")
        (info / "direct_url.json").write_text(
            f'{{"dir_info": {{"editable": true}}, "url": "file://{project}"}}'
        )
        items.append(packages([str(info.parent)]).items["package/moon"])
    assert items[0] == items[1]
    assert items[0].startswith("1 editable sha256:")
    (tmp_path / "there/project/src/moon/__init__.py").write_text("PHASE = 2\n")
    assert packages([str(tmp_path / "there/site")]).items["package/moon"] != items[0]

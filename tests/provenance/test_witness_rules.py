"""Which reads are noise, what declares the others, and what is never kept."""

import json
import os
import sys
from pathlib import Path

import pytest

from nightproof.provenance.looking import SMALL, file, folder
from nightproof.provenance.witness.rules import Rules
from nightproof.provenance.witness.settling import private
from nightproof.provenance.witness.words import MANY, Read, settings


@pytest.mark.parametrize(
    ("path", "declared"),
    [
        ("/proc/meminfo", None),
        ("/etc/resolv.conf", None),
        ("/usr/share/zoneinfo/Europe/Berlin", None),
        (json.__file__, None),
        (f"{Path(pytest.__file__).parent.parent}/certifi/cacert.pem", "package"),
        (__file__, "own code"),
        ("/data/a.csv", "setting files"),
        ("/data/below/a.csv", "setting files"),
        ("/more/x.toml", "setting files"),
        ("/more/x.csv", ""),
        ("/home/u/.config/tool", ""),
        ("/store/blobs/sha256/ab/cd", None),
    ],
)
def test_files(path: str, declared: str | None):
    """The system, Python and the store are noise; packages and own code have their digests."""
    rules = Rules(files=("/data", "/more/*.toml"), job_file=__file__, ours=("/store/blobs",))
    assert rules.file(path, "sha256:1") == declared


def test_files_below_the_home_and_the_working_folder(monkeypatch, tmp_path):
    """As people write them."""
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.chdir(tmp_path)
    rules = Rules(files=("~/.config/tool", "data/"))
    assert rules.file("/home/u/.config/tool/a", None) == "setting files"
    assert rules.file(f"{tmp_path}/data/a", None) == "setting files"
    assert rules.file("/data/a", None) == ""


def test_a_folder_of_packages_needs_no_special_name(tmp_path, monkeypatch):
    """What matters is that something is installed there."""
    (tmp_path / "tool-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    rules = Rules()
    assert rules.file(f"{tmp_path}/tool/table.dat", None) == "package"
    assert rules.reader(f"{tmp_path}/tool/__init__.py") == "tool"


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("api.example.com:443", "setting hosts"),
        ("eu.example.com:443", "setting hosts"),
        ("example.org:8080", "setting hosts"),
        ("example.org:443", ""),
        ("[::1]:80", "setting hosts"),
        ("api.example.com.evil.org:443", ""),
    ],
)
def test_hosts(name: str, declared: str):
    """By name, by pattern, or with one port."""
    assert Rules(hosts=("*.example.com", "example.org:8080", "::1")).host(name) == declared


@pytest.mark.parametrize(
    ("path", "content", "secret"),
    [
        ("/home/u/rates.json", b'{"EUR": 1.1, "tokens": 512}', False),
        ("/home/u/rates.json", b'{"api_key": "abcdefgh"}', True),
        ("/home/u/rates.json", b"password = hunter22\n", True),
        ("/home/u/.aws/config", b"", True),
        ("/home/u/.env.local", b"", True),
        ("/home/u/tls.pem", b"", True),
        ("/home/u/api-token.txt", b"", True),
        ("/home/u/notes", b"-----BEGIN PRIVATE KEY-----", True),
        ("/home/u/table.bin", b"\xff\xfe\x00", False),
        ("/home/u/long", b"0" * SMALL, False),
        ("/home/u/long", b"a." * (SMALL // 2), False),
    ],
)
def test_what_looks_private(path: str, content: bytes, secret: bool):
    """By its place, its name and what is in it; and the answer comes for any content."""
    assert private(path, content) is secret


def test_looking_at_what_is_not_a_plain_file(tmp_path):
    """Nothing there, a folder, a pipe without a writer: no error, and no waiting."""

    assert file(str(tmp_path / "none")) == (None, None, None)
    assert file(str(tmp_path)) == (None, 0, None)
    os.mkfifo(tmp_path / "pipe")
    assert file(str(tmp_path / "pipe")) == (None, 0, None)
    assert file("\0") == (None, None, None)
    (tmp_path / "large").write_bytes(b"0" * 10)
    assert file(str(tmp_path / "large"), 9) == (None, 10, None)


def test_a_folder_is_its_names(tmp_path):
    """Whatever running leaves behind in it."""
    (tmp_path / "a").touch()
    before = folder(str(tmp_path))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / ".nightproof").mkdir()
    assert folder(str(tmp_path)) == before
    (tmp_path / "b").touch()
    assert folder(str(tmp_path)) != before


def test_very_many_files_are_declared_by_their_folder():
    """One line that a person can paste."""
    reads = [Read("file", f"/data/{n}.csv", digest="sha256:1") for n in range(MANY + 1)]
    assert settings(reads) == ['files = ["/data/"]']
    assert settings(reads[:2]) == ['files = ["/data/0.csv", "/data/1.csv"]']

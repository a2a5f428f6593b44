"""The content of delivered files that differ."""

import hashlib
import os
from pathlib import Path

import pytest

from nightproof.drift import record
from nightproof.drift.record import MISSING


def note(path: Path, data: bytes) -> dict[str, object]:
    """What the journal has of a delivered file."""
    return {"path": str(path), "name": path.name, "sha256": hashlib.sha256(data).hexdigest()}


def test_only_what_was_delivered_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another content, a pipe, a folder, a device and what is very large are not there."""
    path = tmp_path / "a.txt"
    path.write_text("one")
    assert record._delivered(note(path, b"one")) == "one"
    assert record._delivered(note(path, b"two")) is MISSING
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "gone"):
        assert record._delivered(note(other, b"")) is MISSING
    assert record._delivered({**note(path, b"one"), "path": "a\0b"}) is MISSING
    monkeypatch.setattr(record, "LARGEST", 2)
    assert record._delivered(note(path, b"one")) is MISSING

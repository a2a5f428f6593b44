"""Every kind of blob store, with a way behind its back."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import obstore
import pytest

from nightproof.blobs.protocol import Blobs
from nightproof.stores.files import FileBlobs
from nightproof.stores.objects import ObjectBlobs, store
from nightproof.stores.objects.client import connect
from nightproof.testing.servers import S3Server

YEAR = 365 * 86400.0
_numbers = itertools.count()


class Place(Protocol):
    """Where blobs are kept: how others open it, and what lies there."""

    def open(self) -> Blobs: ...
    def names(self) -> list[str]: ...
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, data: bytes) -> None: ...
    def age(self) -> None:
        """Make everything there a year old."""


class Files:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Blobs:
        return FileBlobs(self.root)

    def names(self) -> list[str]:
        found = (path for path in self.root.glob("sha256/*/*") if path.is_file())
        return sorted(str(path.relative_to(self.root)) for path in found)

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(data)

    def age(self) -> None:
        for path in self.root.rglob("*"):
            if path.is_file():
                then = path.stat().st_mtime - YEAR
                os.utime(path, (then, then))


class Objects:
    """A prefix of a bucket."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = url
        self.older: set[str] = set()
        blobs = ObjectBlobs(url)
        self.address = blobs.address
        self._store = connect(self.address, "10s", 2)
        plain = store._modified
        monkeypatch.setattr(
            store, "_modified", lambda known: plain(known) - YEAR * (known["path"] in self.older)
        )

    def open(self) -> ObjectBlobs:
        return ObjectBlobs(self.url, patience=10)

    def keys(self) -> list[str]:
        pages = obstore.list(self._store, self.address.prefix)
        return sorted(known["path"] for page in pages for known in page)

    def names(self) -> list[str]:
        cut = len(self.address.prefix) + 1
        return [key[cut:] for key in self.keys()]

    def read(self, name: str) -> bytes:
        found = obstore.get(self._store, f"{self.address.prefix}/{name}")
        return found.bytes().to_bytes()

    def write(self, name: str, data: bytes) -> None:
        obstore.put(self._store, f"{self.address.prefix}/{name}", data)

    def age(self) -> None:
        self.older |= set(self.keys())


@pytest.fixture
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty prefix of a bucket on a real server; its key is in the environment."""
    server: S3Server = request.getfixturevalue("s3_server")
    environment = {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": server.region,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.bucket('blobs')}/{os.getpid()}/{next(_numbers)}"


@pytest.fixture
def objects(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """A place on a real S3 server."""
    return Objects(bucket, monkeypatch)


@pytest.fixture(params=["files", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty place of each kind."""
    made: dict[str, Callable[[], Any]] = {
        "files": lambda: Files(tmp_path),
        "memory": lambda: Objects(f"memory://m{next(_numbers)}/deep/er", monkeypatch),
        "s3": lambda: request.getfixturevalue("objects"),
    }
    return made[request.param]()

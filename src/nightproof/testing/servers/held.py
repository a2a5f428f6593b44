"""Servers that a test holds: started, killed, and started again on the same data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from nightproof.errors import ConfigError, NightproofError
from nightproof.testing.servers.objects import request
from nightproof.testing.servers.processes import kill_tree


class Server:
    """A server of one folder: a context manager that has it running while it lasts.

    It keeps its port and its secrets from its first start on. It also ends when this
    process does, at the latest after half a second, even by SIGKILL.
    """

    kind: ClassVar[str]

    def __init__(self, folder: str | Path, port: int = 0, fast: bool = False) -> None:
        self.folder = Path(folder).resolve()
        self.port = port
        self.url = ""
        self.pid = 0
        """The server's main process, 0 while it is not running."""
        self._fast = fast
        self._facts: dict[str, Any] = {}
        self._host: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers; nothing happens where it runs.

        Raises:
            NightproofError: It does not start; why is in the message.
        """
        if self.running:
            return self
        self._forget()
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "nightproof.testing.servers", self.kind]
        words += ["--folder", str(self.folder), "--port", str(self.port)]
        words += ["--parent", str(os.getpid()), *(["--fast"] if self._fast else [])]
        # Without the switches by which tests make processes die: they are not for servers.
        environ = {name: text for name, text in os.environ.items() if "FAIL_AT" not in name}
        errors = self.folder / "errors.log"
        with errors.open("wb") as stderr:
            self._host = subprocess.Popen(
                words,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,  # Ctrl-C at the tests does not take it from under them
            )
        assert self._host.stdout is not None
        line = self._host.stdout.readline()
        if not line:
            self._forget()
            raise NightproofError(errors.read_text("utf-8", "replace").strip())
        self._facts = json.loads(line)
        self.url, self.port = self._facts["url"], self._facts["port"]
        self.pid = self._facts["pid"]
        return self

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        if self._host is not None:
            self._host.terminate()
        self._forget()

    def kill(self) -> None:
        """SIGKILL all of its processes, as if the machine had lost them."""
        if self.running:
            kill_tree(self.pid)
        self._forget()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._host is not None and self._host.poll() is None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _forget(self) -> None:
        self.pid = 0
        if self._host is not None:
            self._host.wait()
            if self._host.stdout is not None:
                self._host.stdout.close()
            self._host = None


class PostgresServer(Server):
    """A real Postgres on 127.0.0.1; `url` is that of its database ``postgres``."""

    kind = "postgres"

    def database(self, name: str) -> str:
        """The URL of a database of this name, which is made where it does not exist.

        Raises:
            ConfigError: Postgres does not make it.
        """
        made = self._tool("createdb", name)
        if made.returncode and "already exists" not in made.stderr:
            raise ConfigError(f"postgres: no database {name!r}: {made.stderr.strip()}")
        return f"{self.url.rpartition('/')[0]}/{name}"

    def drop(self, name: str) -> None:
        """Remove a database with all its sessions; nothing happens where there is none."""
        self._tool("dropdb", "--if-exists", "--force", name)

    def _tool(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        secret = urlsplit(self.url).password or ""
        where = ["--host=127.0.0.1", f"--port={self.port}", "--username=postgres", "--no-password"]
        return subprocess.run(
            [str(Path(self._facts["bin"]) / name), *where, *words],
            env={"PGPASSWORD": secret, "PGOPTIONS": "-c client_min_messages=warning"},
            capture_output=True,
            text=True,
            check=False,
        )


class TemporalServer(Server):
    """A real Temporal server; its histories outlive a kill."""

    kind = "temporal"

    @property
    def address(self) -> str:
        """Host and port of its gRPC service."""
        return f"127.0.0.1:{self.port}"


class S3Server(Server):
    """A real S3 server; `url` is its endpoint, for path-style requests over HTTP."""

    kind = "s3"

    @property
    def access_key(self) -> str:
        """The id of the key that may do everything."""
        return str(self._facts["access_key"])

    @property
    def secret_key(self) -> str:
        """The secret of that key."""
        return str(self._facts["secret_key"])

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        return str(self._facts["region"])

    def bucket(self, name: str) -> str:
        """Make a bucket where it does not exist (3 to 63 small letters, digits and dashes).

        Raises:
            ConfigError: The server does not make it.
        """
        status = request(self.url, self.secret_key, "PUT", f"/{name}")
        if status not in (200, 409):
            raise ConfigError(f"s3: no bucket {name!r}: the server answers {status}")
        return name


def postgres(folder: str | Path, *, port: int = 0, fast: bool = False) -> PostgresServer:
    """A Postgres server in a folder, for a ``with`` block.

    With `fast` it does not sync commits to disk: they survive a kill, not a loss of power.
    """
    return PostgresServer(folder, port, fast)


def temporal(folder: str | Path, *, port: int = 0, fast: bool = False) -> TemporalServer:
    """A Temporal server in a folder, for a ``with`` block; `fast` as for Postgres."""
    return TemporalServer(folder, port, fast)


def s3(folder: str | Path, *, port: int = 0) -> S3Server:
    """An S3 server in a folder, for a ``with`` block."""
    return S3Server(folder, port)

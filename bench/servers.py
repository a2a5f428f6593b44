"""The real servers that rows need, on the repository's own disk, with default settings.

Each is started when the first row that needs it begins and serves all rows after it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg

from bench.runner import WORK
from nightproof.testing import servers

POSTGRES = "BENCH_POSTGRES"
"""URL of the server's database `postgres`."""
TEMPORAL = "BENCH_TEMPORAL"
"""The address of the gRPC service."""


class Servers:
    """What is running; gives every child process the way to it by the environment."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def need(self, kind: str) -> None:
        """Start what contenders that need `kind` use."""
        if kind in {"postgres", "temporal"} and POSTGRES not in os.environ:
            self._postgres()
        if kind == "temporal" and TEMPORAL not in os.environ:
            server = self._start(servers.temporal, "temporal")
            os.environ[TEMPORAL] = server.address

    def _postgres(self) -> None:
        server = self._start(servers.postgres, "postgres")
        os.environ[POSTGRES] = server.url
        if importlib.util.find_spec("absurdctl"):
            from bench.peers import absurd_postgres

            absurd_postgres.prepare(server.url)

    def _start(self, make: Any, name: str) -> Any:
        folder = WORK / name
        shutil.rmtree(folder, ignore_errors=True)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return self._stack.enter_context(make(folder))


@contextlib.contextmanager
def running() -> Iterator[Servers]:
    """Stops at the end what was started."""
    with contextlib.ExitStack() as stack:
        try:
            yield Servers(stack)
        finally:
            for name in (POSTGRES, TEMPORAL):
                os.environ.pop(name, None)


def database() -> str:
    """The URL of a new, empty database."""
    server = os.environ[POSTGRES]
    name = f"m_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rpartition('/')[0]}/{name}"

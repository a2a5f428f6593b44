"""A dashboard in a thread of its own: what it reads never holds up what is served beside it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

import uvicorn

from nightproof import app
from nightproof.config import Settings
from nightproof.errors import ConfigError
from nightproof.serving.server import Server
from nightproof.web.application import application
from nightproof.web.commands import Commands
from nightproof.web.site import Site

LEAVE_SECONDS = 2
"""How long answers under way may take once it stops."""


class Dashboard:
    """Serves the pages of one store; `say` is told what goes wrong, from its thread."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        server: Server | None = None,
        store: str | None = None,
    ) -> None:
        self._settings = settings
        self._say = say
        self._server = server
        self._store = store
        self._uvicorn: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()

    def start(self, host: str, port: int) -> int:
        """Listen; the port in use. Raises ConfigError where that is not possible."""
        try:
            listener = socket.create_server((host, port), reuse_port=False)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot listen on {host}:{port}: {error}",
                "Give another --port; --port 0 takes a free one.",
            ) from None
        at: int = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener)), name="dashboard", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        return at

    async def _serve(self, listener: socket.socket) -> None:
        try:
            journal = app.open_journal(self._settings)
            commands = Commands(self._say, self._store)
            blobs = app.open_blobs(self._settings)
            site = Site(self._settings, journal, blobs, commands, self._server)
            config = uvicorn.Config(
                application(site), http="h11", ws="none", lifespan="off", log_config=None,
                access_log=False, server_header=False, timeout_graceful_shutdown=LEAVE_SECONDS,
            )  # fmt: skip
            self._uvicorn = uvicorn.Server(config)
            self._ready.set()
            await self._uvicorn.serve(sockets=[listener])
            await commands.close()
            await journal.close()
        except Exception as error:  # noqa: BLE001 - nights go on without their pages
            self._say(f"the dashboard ended: {type(error).__name__}: {error}")
        finally:
            self._ready.set()
            listener.close()

    def stop(self) -> None:
        """Answer no more; returns when everything is given back."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join()

"""A dashboard in a thread of its own: what it reads never holds up what is served beside it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from nightproof import app
from nightproof.config import Settings, keys_folder
from nightproof.errors import ConfigError
from nightproof.observe import Watcher
from nightproof.serving.server import Server
from nightproof.web.application import application
from nightproof.web.commands import Commands
from nightproof.web.connections import Connection
from nightproof.web.rendering import prepare
from nightproof.web.security import tokens
from nightproof.web.security.access import Access
from nightproof.web.security.ended import FOLDER, EndedSessions
from nightproof.web.site import Site

LEAVE_SECONDS = 2
"""How long answers under way may take once it stops."""
JOURNAL_SECONDS = 5.0
"""How long a page waits for a journal whose server is away: a restart, not an outage."""
BLOBS_SECONDS = 2.0
"""How long a page waits for a blob store that is out of reach, and so the end for its pages."""
HEAD_BYTES = 128 * 1024
"""Of a request's first line and headers: a run's name may be long, and is quoted twice."""


class Dashboard:
    """Serves the pages of one store; `say` is told what goes wrong, from its thread.

    With a `token` it asks for it wherever it listens; without one it does so where others
    than this machine may reach it, and keeps one in the folder of keys.
    """

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        server: Server | None = None,
        token: str | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._settings = settings
        self._say = say
        self._server = server
        self._watcher = watcher
        self.url = ""
        """Where it listens, for people; "" where it could not begin, and has said why."""
        self._token = tokens.taken(os.environ) if token is None else token
        self._uvicorn: uvicorn.Server | None = None
        self._site: Site | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._tasks: list[asyncio.Future[None]] = []

    def start(self, host: str, port: int) -> int:
        """Listen; the port in use. Raises ConfigError where that is not possible."""
        listener = _listener(host, port)
        address, at = listener.getsockname()[:2]
        try:
            access = self._access(host, address, at)
        except ConfigError:
            listener.close()
            raise
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, access)), name="dashboard", daemon=True
        )
        number = ipaddress.ip_address(address.partition("%")[0])
        named = socket.gethostname() if number.is_unspecified else address
        self.url = f"http://[{named}]:{at}/" if ":" in named else f"http://{named}:{at}/"
        self._thread.start()
        self._ready.wait()
        if self._uvicorn is None:
            self.url = ""
        return int(at)

    def _access(self, host: str, address: str, port: int) -> Access:
        token = self._token
        public = self._settings.public_url
        local = ipaddress.ip_address(address.partition("%")[0]).is_loopback
        keys = keys_folder(self._settings.keys)
        if not token and (public or not local):
            token, path = tokens.kept(keys)
            self._say(f"the dashboard asks for a login; its token is in {path}")
        # Without a token no session outlives this process, and none is signed in.
        ended = EndedSessions(keys / FOLDER if token else None, self._say)
        return Access(address, port, public, frozenset({host}), token, ended=ended)

    async def _serve(self, listener: socket.socket, access: Access) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            journal = app.open_journal(self._settings, JOURNAL_SECONDS)
            commands = Commands(self._say)
            site = Site(
                self._settings, journal, app.open_blobs(self._settings, BLOBS_SECONDS), commands, self._server,
                access, self._watcher,
            )  # fmt: skip
            for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
                # What fails is said by the guard; what strangers send is not worth a line.
                logging.getLogger(name).disabled = True
            config = uvicorn.Config(
                application(site, self._say), http=Connection, ws="none", lifespan="off",
                log_config=None, access_log=False, server_header=False,
                timeout_graceful_shutdown=LEAVE_SECONDS, h11_max_incomplete_event_size=HEAD_BYTES,
                # A proxy that people come by is on this machine; nobody else is believed.
                proxy_headers=bool(access.public_url), forwarded_allow_ips="127.0.0.1,::1",
            )  # fmt: skip
            # The first time a journal always says that it has changed.
            await site.live.look()
            self._uvicorn = uvicorn.Server(config)
            self._site = site
            self._ready.set()
            prepare()  # whoever asks already waits for it here, and nobody later
            await self._uvicorn.serve(sockets=[listener])
            await commands.close()
            await journal.close()
        except Exception as error:  # noqa: BLE001 - nights go on without their pages
            self._say(f"the dashboard ended: {type(error).__name__}: {error}")
        finally:
            self._ready.set()
            listener.close()

    def drain(self) -> None:
        """Ask the commands under way to stop, while pages are still answered."""
        site = self._site
        if site is not None:
            self._soon(lambda: self._tasks.append(asyncio.ensure_future(site.commands.close())))

    def kill(self) -> None:
        """End the commands under way at once."""
        if self._site is not None:
            self._site.commands.kill()

    def _soon(self, act: Callable[[], None]) -> None:
        """Have the dashboard's thread do something, unless it has ended."""
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(act)

    def stop(self) -> None:
        """Answer no more; returns when everything is given back."""
        if self._site is not None:
            self._soon(self._site.live.close)
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join()


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens on the first address of a host."""
    if not host.strip():  # to the system this would mean every address
        raise ConfigError("--host is empty", "Leave it out, or give an address.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A browser that is given "localhost" tries IPv4 in any case.
        family, *_, address = min(found, key=lambda one: one[0] is not socket.AF_INET)
        both = address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, dualstack_ipv6=both)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error}",
            "Give another --host or --port; --port 0 takes a free one.",
        ) from None

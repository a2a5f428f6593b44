"""Making a connection, without ever blocking the event loop for a network."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from psycopg import Error, pq
from psycopg.conninfo import make_conninfo

from nightproof.stores.postgres.target import CONNECT_SECONDS, Target
from nightproof.stores.postgres.trouble import Lost, in_one_line

_READ, _WRITE = pq.PollingStatus.READING, pq.PollingStatus.WRITING


async def connect(target: Target) -> pq.abc.PGconn:
    """A new connection. Raises Lost with what the server or the network said."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await _connect(await _resolved(target.parameters))
    except Lost as lost:
        secret = target.parameters.get("password")
        raise Lost(lost.reason.replace(secret, "***") if secret else lost.reason) from None
    except TimeoutError as error:
        raise Lost(f"no connection within {CONNECT_SECONDS} s") from error
    except OSError as error:
        raise Lost(f"could not translate host name: {error.strerror or error}") from error


async def _connect(conninfo: str) -> pq.abc.PGconn:
    raw = pq.PGconn.connect_start(conninfo.encode())
    try:
        while raw.status != pq.ConnStatus.BAD:
            state = raw.connect_poll()
            if state == pq.PollingStatus.OK:
                return raw
            if state not in (_READ, _WRITE):
                break
            await _until(raw.socket, state)
    except Error as error:
        raise Lost(in_one_line(str(error))) from error
    except BaseException:
        raw.finish()
        raise
    message = raw.get_error_message()
    raw.finish()
    raise Lost(in_one_line(message))


async def _until(fd: int, state: int) -> None:
    """Wait until the socket can be read from or written to."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def go() -> None:
        if not ready.done():
            ready.set_result(None)

    add, remove = (
        (loop.add_reader, loop.remove_reader)
        if state == _READ
        else (loop.add_writer, loop.remove_writer)
    )
    add(fd, go)
    try:
        await ready
    finally:
        remove(fd)


async def _resolved(parameters: dict[str, str]) -> str:
    """The connection string, with addresses: libpq would look names up in place."""
    host = parameters.get("host", "")
    if (
        not host
        or "," in host
        or host.startswith("/")
        or "hostaddr" in parameters
        or _is_address(host)
    ):
        return make_conninfo(**parameters)
    found = await asyncio.get_running_loop().getaddrinfo(
        host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    every = {"hostaddr": ",".join(addresses), "host": ",".join([host] * len(addresses))}
    return make_conninfo(**{**parameters, **every})


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

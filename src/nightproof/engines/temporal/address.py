"""Where a Temporal server is: ``temporal://host:port/namespace?task_queue=nightproof&tls=true``."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from nightproof.config import redacted
from nightproof.errors import ConfigError

PORT = 7233
NAMESPACE = "default"
TASK_QUEUE = "nightproof"
FORM = (
    "Write temporal://host:7233/namespace?task_queue=nightproof, with &tls=true where it is used."
)
_SWITCH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_KNOWN = ("task_queue", "tls", "ca", "cert", "key", "server_name")


class Address(NamedTuple):
    """A server, a namespace on it, and the task queue that workers and runs share.

    `ca`, `cert` and `key` are PEM files: who the server's certificate must be signed by,
    and what the client shows. `server_name` is the name in the server's certificate where
    it is not the host.
    """

    host: str
    port: int = PORT
    namespace: str = NAMESPACE
    task_queue: str = TASK_QUEUE
    tls: bool | None = None
    """None: where there is an API key."""
    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""

    @property
    def target(self) -> str:
        """``host:port``, as clients want it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"temporal://{self.target}/{self.namespace}?task_queue={self.task_queue}"


def parse(url: str) -> Address:
    """Read the URL. Raises ConfigError that says which part of it is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(url, str(error)) from None
    if parts.scheme != "temporal" or not parts.netloc:
        raise _wrong(url, "it is no temporal:// URL")
    if parts.username or parts.password:
        raise ConfigError(
            f"temporal: '{parts.hostname}' was given with a user or password, which Temporal has not",
            "An API key goes into NIGHTPROOF_TEMPORAL_API_KEY, certificates into ?cert=…&key=….",
        )
    if not parts.hostname:
        raise _wrong(url, "it names no host")
    if port == 0:
        raise _wrong(url, "port 0 is no port")
    if parts.fragment:
        raise _wrong(url, "it has a #fragment")
    namespace = unquote(parts.path.strip("/"))
    if "/" in namespace:
        raise _wrong(url, f"'{namespace}' is no namespace")
    given = _query(url, parts.query)
    cert, key = (_file(given.get(name, ""), name) for name in ("cert", "key"))
    if bool(cert) != bool(key):
        raise ConfigError(
            f"temporal: {'key' if cert else 'cert'}= is missing beside {'cert' if cert else 'key'}=",
            "A client certificate takes both: ?cert=client.pem&key=client.key.",
        )
    ca, name = _file(given.get("ca", ""), "ca"), given.get("server_name", "")
    tls = True if ca or cert or name else None
    if "tls" in given:
        if given["tls"].lower() not in _SWITCH:
            raise _wrong(url, f"tls={given['tls']} is neither true nor false")
        wanted = _SWITCH[given["tls"].lower()]
        if tls and not wanted:
            raise _wrong(url, "tls=false, but certificates are given")
        tls = wanted
    return Address(
        parts.hostname, port or PORT, namespace or NAMESPACE,
        given.get("task_queue") or TASK_QUEUE, tls, ca, cert, key, name,
    )  # fmt: skip


def _query(url: str, query: str) -> dict[str, str]:
    try:
        given = parse_qs(query, keep_blank_values=True, strict_parsing=True) if query else {}
    except ValueError:
        raise _wrong(url, f"'?{query}' is not name=value&name=value") from None
    for name, values in given.items():
        if name not in _KNOWN:
            raise ConfigError(
                f"temporal: there is no parameter '{name}'", f"Known: {', '.join(_KNOWN)}."
            )
        if len(values) > 1 or not values[0]:
            raise _wrong(url, f"{name}= wants one value")
    return {name: values[0] for name, values in given.items()}


def _file(path: str, name: str) -> str:
    if path and not Path(path).is_file():
        raise ConfigError(f"temporal: {name}={path}: there is no such file", "Name a PEM file.")
    return path


def _wrong(url: str, why: str) -> ConfigError:
    return ConfigError(f"temporal: cannot read '{redacted(url)}': {why}", FORM)

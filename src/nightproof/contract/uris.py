"""Addresses of datasets: which are taken, where they lead, how messages show them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from nightproof.contract.secrets import redact
from nightproof.errors import ContractError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def bare(uri: str) -> str:
    """`uri` for messages: without user, password, query and fragment."""
    head = uri.partition("#")[0].partition("?")[0]
    scheme, separator, rest = head.partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        head = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    return redact(head)


def is_loopback(uri: str) -> bool:
    """Whether `uri` stays on this machine."""
    try:
        return urlsplit(uri).hostname in LOOPBACK
    except ValueError:
        return False


def fault(uri: str) -> tuple[str, str] | None:
    """What is wrong with `uri` as the address of a dataset, and what to write."""
    scheme, separator, rest = uri.partition(":")
    if not separator or not rest or not scheme.isalnum() or len(scheme) == 1:
        return (
            f'"{bare(uri)}" is not a URI',
            "write file:relative/path, file:///absolute/path or https://…",
        )
    if scheme == "file":
        host = rest[2:].partition("/")[0] if rest.startswith("//") else ""
        if host in ("", "localhost"):
            return None
        return (
            f"{bare(uri)} names the host {host!r}",
            f"write file:relative/path without slashes in front, or file:///{host}/…",
        )
    if scheme in ("https", "http"):
        return _web_fault(uri, scheme)
    return f"{scheme}: is not fetched by this version", "use file: or https:"


def _web_fault(uri: str, scheme: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or any(char.isspace() or not char.isprintable() for char in uri):
        return f'"{bare(uri)}" is not a valid address', "write https://host/path"
    if scheme == "http" and host not in LOOPBACK:
        return f"{bare(uri)} can be read and changed on the way", "write https://…"
    return None


def local_path(uri: str, base: Path | None = None) -> Path:
    """The path that a ``file:`` URI names, without looking at its bytes.

    ``file:data/x.zip`` is relative to `base` (the contract's folder), or else to
    the working directory. Raises ContractError for anything but a file here.
    """
    if not uri.startswith("file:"):
        raise ContractError(f"{bare(uri)} is not a file: URI", "Fetch it: await dataset.fetch().")
    if wrong := fault(uri):
        raise ContractError(f"{wrong[0]}", wrong[1])
    rest = uri.removeprefix("file:")
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    path = Path(unquote(rest))
    return path if base is None else base / path


def suffix(uri: str) -> str:
    """The extension of the file behind `uri` (``.csv.gz``), which readers go by."""
    suffixes = "".join(Path(urlsplit(uri).path).suffixes[-2:])
    safe = suffixes.isascii() and suffixes.replace(".", "").isalnum()
    return suffixes if safe and len(suffixes) <= 16 else ""

"""Exceptions as other packages raise them, without those packages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from nightproof.model import clock
from nightproof.model.triage import Kind, triage

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)  # 05:00 in Los Angeles
T, E, U, P = Kind.TRANSIENT, Kind.EXHAUSTED, Kind.UNAUTHENTICATED, Kind.PERMANENT


class Still(clock.System):
    """A clock that stands still."""

    def wall(self) -> float:  # type: ignore[override]
        return NOW.timestamp()


def make(path: str, *args: Any, base: type[BaseException] = Exception, **attributes: Any) -> Any:
    """An exception whose class claims to be ``package.module.Name``."""
    module, _, name = path.rpartition(".")
    exc = type(name, (base,), {"__module__": module})(*args)
    for key, value in attributes.items():
        setattr(exc, key, value)
    return exc


def http(status: int, body: Any = b"", **headers: str) -> BaseException:
    """An httpx.HTTPStatusError as triage sees one."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = SimpleNamespace(status_code=status, headers=named, _content=text)
    return make("httpx.HTTPStatusError", f"{status}", response=response)  # type: ignore[no-any-return]


def google(code: int, status: str, *details: Any, message: str = "m") -> dict[str, Any]:
    """A google.rpc error body."""
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return {"error": error}


RETRY_30 = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}


def reading(exc: BaseException) -> tuple[Kind, str]:
    """Kind and happened of `exc`."""
    found = triage(exc)
    return found.kind, found.happened

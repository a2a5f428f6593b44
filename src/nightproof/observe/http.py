"""One POST, patiently: what alert sinks and pings need of HTTP."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from urllib.parse import urlsplit

from nightproof.errors import NightproofError
from nightproof.model import clock

TIMEOUT_SECONDS = 10.0
PAUSES = (1.0, 3.0)
"""Before the second and the third try."""
_LONGEST_PAUSE = 10.0
_MOST = 65536


def post(url: str, body: bytes, headers: Mapping[str, str], where: str) -> bytes:
    """POST, up to three times; the beginning of the answer. Blocks.

    Only what may pass is tried again: 429, 5xx and a network that fails. Messages name
    the host, never the address: that may be a secret. Raises NightproofError.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NightproofError(f"{where}: its address is not one of HTTP", "Check the setting.")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url, data=body, headers={"User-Agent": "nightproof", **headers}, method="POST"
    )
    for pause in (*PAUSES, None):
        wait = pause
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                found: bytes = answer.read(_MOST)
                return found
        except urllib.error.HTTPError as error:
            problem = f"{where}: {parts.hostname} answered {error.code}"
            if error.code != 429 and error.code < 500:
                break
            told = error.headers.get("Retry-After", "")
            if wait is not None and told.isdigit():
                wait = min(float(told), _LONGEST_PAUSE)
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            problem = f"{where}: {parts.hostname} cannot be reached ({type(reason).__name__})"
        if wait is not None:
            clock.block(wait)
    raise NightproofError(problem, "`nightproof alerts test` tries again.")

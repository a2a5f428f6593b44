"""Answers that take long: waited for a while, and then asked for again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nightproof.errors import UsageError
from nightproof.model import clock
from nightproof.web.api.problems import Later
from nightproof.web.comparing import BUSY, Answer

PATIENCE_SECONDS = 20.0
"""How long a request waits for what is under way."""


async def patiently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """What is answered at last, or when patience ends."""
    until = clock.monotonic() + PATIENCE_SECONDS
    while True:
        found = await ask()
        if not found.pending or clock.monotonic() > until:
            return found


def ready(found: Answer) -> Any:
    """The document of an answer. Raises Later where it is not there yet, UsageError if never."""
    if found.document is not None:
        return found.document
    if found.pending or (found.error, found.hint) == BUSY:
        told = (f"it is being worked out for {found.seconds:.0f} s", "Ask again in a moment.")
        raise Later(*(told if found.pending else BUSY))
    raise UsageError(found.error, found.hint)

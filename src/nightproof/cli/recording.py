"""The record of what people had done: written before the act, and completed after it."""

from __future__ import annotations

import os
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nightproof.cli.session import actor
from nightproof.errors import NightproofError
from nightproof.journal.protocol import Journal
from nightproof.model import identity
from nightproof.views import audit as trail


async def begin(
    journal: Journal, act: str, run: str, *words: str, given: bytes | None = None
) -> int | None:
    """Write down that whoever gave the command ``nightproof WORDS`` has it done; the row's id.

    `given` is what it reads where a word is ``-``. None for a command that somebody else has
    written down already (see ACTOR in config).
    """
    if actor():
        return None
    command = shlex.join(["nightproof", *words])
    return await journal.audit(trail.intent(_who(), act, run, command, given))


async def finish(journal: Journal, number: int | None, code: int, outcome: str) -> None:
    """Write down what came of it."""
    if number is not None:
        await journal.audited(number, code, outcome)


@asynccontextmanager
async def audited(
    journal: Journal, act: str, run: str, *words: str, given: bytes | None = None
) -> AsyncIterator[list[str]]:
    """What happens inside is on record; what is put into the list is its outcome."""
    told: list[str] = []
    number = await begin(journal, act, run, *words, given=given)
    try:
        yield told
    except NightproofError as error:
        await finish(journal, number, error.exit_code, error.message)
        raise
    await finish(journal, number, 0, told[-1] if told else "done")


def _who() -> str:
    import getpass  # of no use where nothing is decided

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number that has no name
        user = f"user {os.getuid()}"
    return f"{user}@{identity.here().host.partition('/')[0]}"


def dashed(*names: str) -> list[str]:
    """Names as words of a command line, whatever they begin with."""
    return ["--", *names] if any(name.startswith("-") for name in names) else [*names]

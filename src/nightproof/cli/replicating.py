"""Replicates in processes of their own: made, and gone on with where one did not end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nightproof import app
from nightproof.cli.session import note
from nightproof.config import ACTOR, Settings
from nightproof.errors import Interrupted, NightproofError, UsageError
from nightproof.journal.lease import Possession, possession
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.views import open_run

_OPEN = (RunStatus.RUNNING, RunStatus.PARKED)
_PATIENCE_SECONDS = 30.0
"""How long an interrupted replicate may take to stop by itself."""


async def unfinished(reader: Reader, row: RunRow, settings: Settings) -> list[RunRow]:
    """The replicates of a run that have not come to their end, oldest first.

    Those that a process works on are left out, and those that may perform effects.
    """
    now, lease_ms = clock.now_ms(), int(settings.lease * 1000)
    rows = await reader.runs(RunFilter(job=row.job, status=_OPEN, limit=-1))
    return [
        one
        for one in reversed(rows)
        if one.replicate
        and one.parent is None
        and one.digest == row.digest
        and not one.cancel
        and not _kept(one).get("effects")
        and possession(one, now, lease_ms) in (Possession.NOBODY, Possession.DEAD)
    ]


def another(reader: Reader, row: RunRow, settings: Settings, left: list[RunRow]) -> RunRow:
    """One more replicate: the next of `left`, gone on with, or else a new one.

    Raises NightproofError with what its process said where there is none to be had.
    """
    while left:
        one = left.pop(0)
        try:
            return _found(reader, go_on(one, settings.store))
        except UsageError as error:
            # Its code or contract class is not what it was: a new one is no worse.
            note(f"{one.name} cannot be gone on with: {error.message}")
    made = _found(reader, replicate(row, settings.store))
    if made.digest != row.digest:
        raise UsageError(
            f"the class of the contract of {row.name} has changed: its replicate got another "
            "digest",
            "Restore the class, or reproduce a newer run.",
        )
    return made


def _found(reader: Reader, name: str) -> RunRow:
    return asyncio.run(open_run(reader, name))


def replicate(row: RunRow, store: str) -> str:
    """Make one replicate in a process of its own; its name.

    Raises NightproofError with what that process said where it made none, Interrupted
    where this one was asked to stop.
    """
    words = ["run", row.target, "-", "--replicate", *_isolation(row)]
    return _child(row, words, store, row.contract, f"no replicate of {row.name} can be run")


def go_on(row: RunRow, store: str) -> str:
    """Go on with a replicate in a process of its own; its name. Raises as :func:`replicate`."""
    words = ["resume", row.name, *_isolation(row)]
    return _child(row, words, store, b"", f"replicate {row.name} does not go on")


def _kept(row: RunRow) -> dict[str, Any]:
    return dict(json.loads(row.options or b"{}"))


def _isolation(row: RunRow) -> list[str]:
    level = _kept(row).get("isolate")
    return ["--isolate", str(level)] if level else []


def _child(row: RunRow, words: Sequence[str], store: str, given: bytes, refused: str) -> str:
    # The folder decides where relative datasets lie; the journal is this one wherever it is.
    folder = _kept(row).get("folder") if b'"file:' in row.contract else None
    command = [sys.executable, "-m", "nightproof", *words, "--json"]
    folder = folder if folder and Path(folder).is_dir() else None
    code, out, err = _ran(command, given, folder, app.absolute(store))
    try:
        told = json.loads(out)
    except ValueError:
        told = {}
    if told.get("run"):
        return str(told["run"])
    error = told.get("error") or {}
    last = err.decode("utf-8", "replace").strip().splitlines()[-1:]
    message = error.get("message") or (last[0] if last else f"exit code {code}")
    failure = UsageError if code == UsageError.exit_code else NightproofError
    raise failure(f"{refused}: {message}", error.get("hint", ""))


def _ran(
    command: Sequence[str], given: bytes, folder: str | None, store: str
) -> tuple[int, bytes, bytes]:
    """Exit code and output of a child; asked to stop, it is given time to end well."""
    import subprocess

    # In a session of its own: Ctrl-C at the terminal reaches it once, from here.
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        # Not as an option: everybody can read those, and a URL may hold a password.
        env=os.environ
        | {"NIGHTPROOF_DEBUG": "", "NIGHTPROOF_STORE": store, "NIGHTPROOF_ENGINE": "embedded"}
        | {ACTOR: "reproduce"},
        start_new_session=True,
    )
    try:
        out, err = child.communicate(given)
    except KeyboardInterrupt:
        child.terminate()
        try:
            child.communicate(timeout=_PATIENCE_SECONDS)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            child.kill()
            child.communicate()
        raise Interrupted(
            "interrupted: the replicate under way has not come to its end",
            "The same command goes on with it.",
        ) from None
    return child.returncode, out, err

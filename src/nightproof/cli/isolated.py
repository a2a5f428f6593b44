"""The inside of an isolated attempt: what it was told, and what it leaves."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from nightproof.provenance.isolation import handover
from nightproof.provenance.isolation.handover import Handover

_told: Handover | None = None
NAMED = 5


def enter() -> None:
    """Take what the parent says, before any user code sees the environment."""
    global _told
    _told = handover.take()
    if _told is not None and _told.level == "L2":
        # Inherited from bubblewrap, which has to ignore what this process answers.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    if _told is not None and _told.trace:
        from nightproof.provenance.witness import strace

        strace.trace = strace.Trace(_told.trace, [_told.slot])
        strace.trace.listen()


def level() -> str:
    """The level of this attempt."""
    return handover.level()


def origin() -> Path | None:
    """The folder in which the command was given; None where this process is not isolated."""
    return Path(_told.origin) if _told is not None else None


def event() -> dict[str, Any] | None:
    """What the run's record says of the isolation; None where there is none."""
    return _told.event() if _told is not None else None


def leave() -> None:
    """Keep what the job left in its working folder, and clear the rest away."""
    if _told is not None and _told.slot:
        os.chdir("/")
        tidy(Path(_told.slot), Path(_told.left))


def tidy(folder: Path, left: Path) -> None:
    """Clear a slot, and bring to safety what a job left in its working folder."""
    from nightproof.provenance.isolation import slot

    try:
        kept = slot.keep(folder, left)
    except OSError as error:
        _say(f"what the job left in {folder / 'work'} cannot be kept: {error}")
        return
    if kept is not None:
        place, names = kept
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        _say(
            f"the job left files in its working folder: {', '.join(names[:NAMED])}"
            f"{more}; they are in {place}"
        )
    slot.empty(folder)


def _say(text: str) -> None:
    print(f"nightproof: {text}", file=sys.stderr)

"""What the parent of an isolated attempt tells it, through its environment."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

LEVEL = "NIGHTPROOF_ISOLATION"
"""The level that a process was started at; unset means L0."""
DETAILS = "NIGHTPROOF_ISOLATED"
"""What only the attempt itself needs to know; it is taken out before user code is imported."""
LEVELS = ("L0", "L1", "L2", "L3")


class Handover(NamedTuple):
    """How an isolated attempt was set up."""

    level: str
    origin: str
    """The folder in which the command was given: where relative paths start."""
    slot: str = ""
    """The folder with its home, work and tmp, where the attempt has to clear them up."""
    left: str = ""
    """Where files go that the job leaves in its working folder."""
    environment: tuple[str, ...] = ()
    """The variables that have the same value in every isolated attempt, as ``NAME=value``."""
    declared: tuple[str, ...] = ()
    """The names of the variables that came in because the settings name them."""
    mounts: tuple[str, ...] = ()
    """What of the file system is there (L2), each path with ``ro`` or ``rw`` before it."""
    trace: str = ""
    """The file that strace writes to (L3)."""

    def variables(self) -> dict[str, str]:
        """The variables that carry this to the child."""
        return {LEVEL: self.level, DETAILS: json.dumps(self._asdict())}

    def event(self) -> dict[str, Any]:
        """What the run's record says of it."""
        zone = next((one[3:] for one in self.environment if one.startswith("TZ=")), "as declared")
        words = f"isolated at {self.level}: nothing of the caller's environment"
        words += f" but {', '.join(self.declared)}" if self.declared else ""
        words += f"; empty home, time zone {zone}"
        told: dict[str, Any] = {
            "level": self.level,
            "message": words + ("; no network" if self.level == "L2" else ""),
            "environment": list(self.environment),
            "declared": list(self.declared),
        }
        if self.level == "L2":
            told |= {"network": False, "mounts": list(self.mounts)}
        return told


def level() -> str:
    """The level that this process runs at."""
    return os.environ.get(LEVEL) or "L0"


def take() -> Handover | None:
    """What this process was told, at the first call; None where it is not isolated."""
    text = os.environ.pop(DETAILS, None)
    if not text:
        return None
    told = json.loads(text).items()
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told
    }
    return Handover(**fields)

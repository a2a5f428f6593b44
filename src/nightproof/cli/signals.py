"""SIGTERM and Ctrl-C: finish what is under way, leave the run resumable."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from types import FrameType
from typing import Protocol

from nightproof.cli.session import note
from nightproof.model import clock

TEMPFAIL = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""
TOGETHER_SECONDS = 0.3
"""In a sandbox two signals so close to each other are one that came on two ways."""


class Stoppable(Protocol):
    """What is asked to stop: an engine."""

    def stop(self) -> None: ...


def before_the_run() -> None:
    """Until the run begins, SIGTERM ends the process as Ctrl-C does."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


class Stopper:
    """The first signal stops the engine gently, the second one ends the process."""

    def __init__(self, engine: Stoppable) -> None:
        self._engine = engine
        self.asked = False
        self._since = 0.0
        self._together = TOGETHER_SECONDS if os.environ.get("NIGHTPROOF_ISOLATION") == "L2" else 0.0
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        if self.asked and clock.monotonic() - self._since < self._together:
            return
        if self.asked:
            # What is acknowledged is on disk; there is nothing to tidy up.
            note("nightproof: stopped at once; `nightproof resume` goes on")
            sys.stderr.flush()
            os._exit(TEMPFAIL)
        self.asked = True
        self._since = clock.monotonic()
        note("nightproof: finishing what is under way; once more to stop at once")
        self._engine.stop()

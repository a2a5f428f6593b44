"""Another time for the code of an experiment: only in its process, only from Python.

``time`` and ``datetime`` answer with the staged time. What C code asks the system
for, and programs that the job starts, keep the real one; so do monotonic clocks,
on which timeouts and the event loop run.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from nightproof.model import clock

TICK_SECONDS = 1e-6
"""A clock that is held still goes on by this with each look, so that no loop waits for ever."""


def stage(start: float, *, still: bool) -> Callable[[], None]:
    """Make the code of this process see `start` (seconds since the epoch) as the present.

    The clock goes on from there, or with `still` only by what is slept and a tick for
    every look. Returns what sets it back to `start`. Call it before the code is
    imported; there is no way back to the real time.
    """
    staged = _Still(start) if still else _Going(start)
    _patch_time(staged.now)
    _patch_datetime(staged.now)
    if isinstance(staged, _Still):
        _patch_sleep(staged)
    return staged.begin


class _Going:
    def __init__(self, start: float) -> None:
        self._start = start
        self._since = clock.perf()

    def begin(self) -> None:
        self._since = clock.perf()

    def now(self) -> float:
        return self._start + clock.perf() - self._since


class _Still:
    def __init__(self, start: float) -> None:
        self._start = start
        self.at = start

    def begin(self) -> None:
        self.at = self._start

    def now(self) -> float:
        self.at += TICK_SECONDS
        return self.at


def _patch_time(now: Callable[[], float]) -> None:
    def replace(name: str, function: Any) -> None:
        setattr(time, name, function)

    replace("time", now)
    replace("time_ns", lambda: int(now() * 1e9))
    for name in ("localtime", "gmtime", "ctime"):
        real = getattr(time, name)
        replace(name, lambda seconds=None, real=real: real(now() if seconds is None else seconds))
    asctime, strftime, gettime, local = map(
        partial(getattr, time), ("asctime", "strftime", "clock_gettime", "localtime")
    )
    replace("asctime", lambda *given: asctime(*(given or (local(),))))
    replace("strftime", lambda form, *given: strftime(form, *(given or (local(),))))
    replace(
        "clock_gettime", lambda which: now() if which == time.CLOCK_REALTIME else gettime(which)
    )


def _patch_datetime(now: Callable[[], float]) -> None:
    kind = dt.datetime

    def datetime_now(cls: type[dt.datetime], tz: Any = None) -> dt.datetime:
        return cls.fromtimestamp(now(), tz)

    def datetime_utcnow(cls: type[dt.datetime]) -> dt.datetime:
        return cls.fromtimestamp(now(), dt.UTC).replace(tzinfo=None)

    # The class itself is changed, not its name in the module: references to it that
    # other modules hold, and isinstance(), go on as they are. today() asks time.time().
    (members,) = gc.get_referents(kind.__dict__)
    members["now"] = classmethod(datetime_now)
    members["utcnow"] = classmethod(datetime_utcnow)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


def _patch_sleep(staged: _Still) -> None:
    name = "sleep"
    real = getattr(time, name)

    def sleep(seconds: float) -> None:
        real(seconds)
        staged.at += seconds

    setattr(time, name, sleep)

"""Values and waits that are recorded: the same on replay as the first time."""

from __future__ import annotations

import uuid as _uuid
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast, overload

from nightproof.durable.context import runtime
from nightproof.durable.step import seconds
from nightproof.errors import MisuseError
from nightproof.model import clock

T = TypeVar("T")


def now() -> datetime:
    """The time (aware, UTC) at which the run first came by here.

    Raises MisuseError outside a job's body.
    """
    return cast("datetime", runtime("now()").value("now", clock.now, datetime))


def uuid() -> _uuid.UUID:
    """A UUID that is the same for every attempt and replicate of the contract."""
    rng = runtime("uuid()").rng()
    return _uuid.UUID(int=rng.getrandbits(128), version=4)


def random() -> float:
    """A float in [0, 1), the same for every attempt and replicate of the contract."""
    return cast("float", runtime("random()").rng().random())


async def sleep(duration: float | timedelta) -> None:
    """Wait `duration` (seconds), durably: a resume waits only for what is left.

    A wait longer than the park limit parks the run.
    """
    length = seconds(duration, "sleep()") if duration else 0.0
    await runtime("sleep()").sleep_until("sleep", float(length or 0.0))


async def sleep_until(moment: datetime) -> None:
    """Wait until `moment` (aware), durably."""
    if moment.tzinfo is None:
        raise MisuseError(
            f"sleep_until({moment.isoformat()}): the time has no zone",
            "Give it one, for example datetime(..., tzinfo=ZoneInfo('Asia/Tokyo')).",
        )
    await runtime("sleep_until()").sleep_until("sleep_until", moment)


@overload
async def wait_for(
    signal: str, type: type[T], *, timeout: float | timedelta | None = None
) -> T: ...


@overload
async def wait_for(signal: str, *, timeout: float | timedelta | None = None) -> Any: ...


async def wait_for(
    signal: str, type: Any = Any, *, timeout: float | timedelta | None = None
) -> Any:
    """Wait for a signal (``nightproof signal RUN NAME [JSON]``) and return its payload.

    `type` is the payload's annotation; a payload that does not fit it is put aside, which the
    run's log says, and the run waits on. Raises TimeoutError when `timeout` (seconds,
    counted from the first time the run came by here) passes.
    """
    limit = seconds(timeout, "wait_for(timeout=...)")
    return await runtime("wait_for()").wait_for(signal, type, limit)

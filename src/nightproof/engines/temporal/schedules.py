"""Schedules of jobs as Temporal Schedules: what is there, what is to be, and the difference.

A Temporal Schedule skips a local time that the clocks skip, and fires twice at one that
comes twice. The times that it would skip are added to it one by one, for some years ahead;
of a doubled one the second finds the night begun (see cli/dispatching.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from nightproof.engines.temporal.connection import PATIENCE_SECONDS, Connection, refused
from nightproof.engines.temporal.firing import FIRE
from nightproof.errors import UsageError
from nightproof.model import clock
from nightproof.model.timetable import Timetable

PREFIX = "nightproof/"
"""How the ids of our schedules begin."""
YEARS = 10
"""So far ahead the skipped times are known to the server; a deployment begins it anew."""
_RPC = timedelta(seconds=PATIENCE_SECONDS)
_REFERENCE = datetime(2026, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_SHORTEST = timedelta(seconds=10)
"""The server catches up for no less."""
_COMPARED = 5


class Wanted(NamedTuple):
    """A schedule as a job declares it."""

    name: str
    """``job/function``."""
    target: str
    times: Timetable
    missed: str
    catch_up: int
    late: timedelta
    """How late a night may begin that is skipped when it is missed."""

    def note(self, queue: str) -> str:
        """What it is, for people, and to see whether it has changed."""
        kept = "skip" if self.missed == "skip" else f"catch up {self.catch_up}"
        window = f", {int(self.window.total_seconds())} s" if self.missed == "skip" else ""
        return f"{self.times}, missed: {kept}{window}, on {queue}"

    @property
    def window(self) -> timedelta:
        """How long a server that was away may begin nights late."""
        if self.missed == "skip":
            return max(self.late, _SHORTEST)
        fires = list(islice(self.times.fires(_REFERENCE), self.catch_up + 1))
        return max(fires[-1] - fires[0] if fires else self.late, self.late, _SHORTEST)


class Change(NamedTuple):
    """What a deployment does about a schedule: "create", "update", "remove" or "keep"."""

    name: str
    what: str
    before: str = ""
    after: str = ""


async def deployed(connection: Connection) -> dict[str, ScheduleDescription]:
    """Our schedules on this task queue, by name. Raises EngineError."""
    client, found = connection.client, {}
    try:
        async for one in await client.list_schedules(rpc_timeout=_RPC):
            if not one.id.startswith(PREFIX):
                continue
            try:
                told = await client.get_schedule_handle(one.id).describe(rpc_timeout=_RPC)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:  # removed a moment ago
                    continue
                raise
            action = told.schedule.action
            if (
                isinstance(action, ScheduleActionStartWorkflow)
                and action.workflow == FIRE
                and action.task_queue == connection.address.task_queue
            ):
                found[one.id.removeprefix(PREFIX)] = told
    except RPCError as error:
        raise refused(error, connection.address) from None
    return found


async def deploy(
    connection: Connection, wanted: Sequence[Wanted], *, prune: bool, dry_run: bool
) -> list[Change]:
    """Make the server's schedules those that are wanted; what was done, or would be.

    With `prune` those of this task queue are removed that are not wanted. A schedule that
    somebody has paused stays so. Raises EngineError, and UsageError for a time that the
    server cannot be told.
    """
    there = await deployed(connection)
    queue, changes = connection.address.task_queue, []
    try:
        for one in wanted:
            known, after = there.get(one.name), one.note(queue)
            before = known.schedule.state.note or "" if known is not None else ""
            if known is not None and before == after and _fires_as(known, one.times):
                changes.append(Change(one.name, "keep", before, after))
                continue
            changes.append(Change(one.name, "update" if known else "create", before, after))
            if not dry_run:
                await _put(connection, one, exists=known is not None)
        if prune:
            for name in sorted(there.keys() - {one.name for one in wanted}):
                changes.append(Change(name, "remove", there[name].schedule.state.note or ""))
                if not dry_run:
                    handle = connection.client.get_schedule_handle(PREFIX + name)
                    await handle.delete(rpc_timeout=_RPC)
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            told = " ".join(error.message.split())
            raise UsageError(
                f"Temporal does not take schedule {changes[-1].name}: {told}"
            ) from None
        raise refused(error, connection.address) from None
    return changes


def made(one: Wanted, queue: str) -> Schedule:
    """The Temporal Schedule of a declared one."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            FIRE, one.name, id=f"{PREFIX}fire/{one.name}", task_queue=queue
        ),
        spec=_spec(one.times),
        # A night waits for nobody: what is started only begins the run.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=one.window),
        state=ScheduleState(note=one.note(queue)),
    )


async def _put(connection: Connection, one: Wanted, *, exists: bool) -> None:
    schedule = made(one, connection.address.task_queue)
    if not exists:
        await connection.client.create_schedule(PREFIX + one.name, schedule, rpc_timeout=_RPC)
        return

    def change(found: ScheduleUpdateInput) -> ScheduleUpdate:
        state = found.description.schedule.state
        state.note = schedule.state.note
        schedule.state = state
        return ScheduleUpdate(schedule)

    await connection.client.get_schedule_handle(PREFIX + one.name).update(change, rpc_timeout=_RPC)


def _fires_as(known: ScheduleDescription, times: Timetable) -> bool:
    """Whether the server's next times are due: somebody may have edited them there."""
    coming = [at.astimezone(UTC) for at in known.info.next_action_times[:_COMPARED]]
    if not coming:
        return known.schedule.state.paused or next(times.fires(clock.now()), None) is None
    due = {at.astimezone(UTC) for at in times.fires(coming[0] - _DAY, coming[-1])}
    doubled = {at for at in coming if at not in due}
    # One of a doubled hour is no edit: the same local time is due an hour before.
    return all(at - timedelta(hours=1) in due for at in doubled)


def _spec(times: Timetable) -> ScheduleSpec:
    extra = _skipped(times)
    if times.at:
        hour, _, minute = times.at.partition(":")
        daily = ScheduleCalendarSpec(
            hour=[ScheduleRange(int(hour))], minute=[ScheduleRange(int(minute))]
        )
        return ScheduleSpec(calendars=[daily, *extra], time_zone_name=times.tz)
    return ScheduleSpec(
        cron_expressions=_crons(times.cron), calendars=extra, time_zone_name=times.tz
    )


def _crons(expression: str) -> list[str]:
    """As Temporal reads them: where cron wants one of two days, Temporal wants both."""
    fields = expression.split()
    if len(fields) != 5 or fields[2].startswith("*") or fields[4].startswith("*"):
        return [expression]
    minute, hour, day, month, weekday = fields
    return [f"{minute} {hour} {day} {month} *", f"{minute} {hour} * {month} {weekday}"]


def _skipped(times: Timetable) -> list[ScheduleCalendarSpec]:
    """The due moments at a time that the clocks do not show on other days, each by its date."""
    fixed = times.at or not re.match(r"\S*\*\S*\s|\S+\s\S*\*", times.cron)
    if not fixed:
        return []  # these go by the time that passes
    found = []
    for gap in _gaps(times):
        plain = {
            at.replace(tzinfo=None)
            for at in Timetable("UTC", times.at, times.cron).fires(
                gap.replace(tzinfo=UTC) - _DAY, gap.replace(tzinfo=UTC) + 2 * _DAY
            )
        }
        start = gap.replace(tzinfo=times.place)
        found += [
            _once(at)
            for at in times.fires(start - _DAY, start + 2 * _DAY)
            if at.replace(tzinfo=None) not in plain
        ]
    return found


def _once(at: datetime) -> ScheduleCalendarSpec:
    def only(number: int) -> list[ScheduleRange]:
        return [ScheduleRange(number)]

    return ScheduleCalendarSpec(
        year=only(at.year), month=only(at.month), day_of_month=only(at.day),
        hour=only(at.hour), minute=only(at.minute),
    )  # fmt: skip


def _gaps(times: Timetable) -> list[datetime]:
    """The local days in which the clocks are put forward, from now on."""
    place, found = times.place, []
    day = (
        clock.now()
        .astimezone(place)
        .replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    )
    before = day.replace(tzinfo=place).utcoffset()
    for _ in range(YEARS * 366):
        after = (day + _DAY).replace(tzinfo=place).utcoffset()
        if before is not None and after is not None and after > before:
            found.append(day)
        day, before = day + _DAY, after
    return found

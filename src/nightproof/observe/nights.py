"""Nights that did not take place, and nights that brought nothing."""

from __future__ import annotations

import json
from datetime import timedelta

from nightproof.errors import UsageError
from nightproof.journal.records import RunFilter, RunRow
from nightproof.journal.schedules import ScheduleRow
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.model.timetable import Timetable
from nightproof.observe.incident import Finding, moment
from nightproof.observe.scene import RECENT_MS, Scene
from nightproof.views.schedules import last_seen, retired
from nightproof.views.watch import OutputView, own

LOOK_BACK = timedelta(days=7)
"""A time that was missed longer ago is history."""
_NIGHTS = 50
_COMPLETED = 300


async def missed(scene: Scene) -> list[Finding]:
    """Schedules with times that were due and for which no run has begun.

    Over when the runs are there, or, where missed nights are skipped, when a later one is.
    """
    schedules = await scene.reader.schedules()
    latest = last_seen(schedules)
    found = []
    for row in schedules:
        until = scene.now - int(scene.settings.late * 1000)
        if retired(row, latest):
            until = min(until, row.seen)
        try:
            note = await _missed(scene, row, until)
        except UsageError as error:
            note = f"schedule {row.name} cannot be read: {error.message}"
        if note:
            found.append(Finding(f"missed:{row.name}", "missed", row.job, "", note))
    return found


async def _missed(scene: Scene, row: ScheduleRow, until: int) -> str:
    spec = json.loads(row.spec)
    times = Timetable(spec["tz"], spec.get("at") or "", spec.get("cron") or "")
    end = clock.from_ms(until)
    since = max(clock.from_ms(row.since), end - LOOK_BACK)
    if since >= end:
        return ""
    due = [int(one.timestamp() * 1000) for one in times.last(_NIGHTS, since, end)]
    if not due:
        return ""
    ran = {one.at for one in await scene.reader.fires(row.name, due[0], scene.now) if one.ran}
    if spec.get("missed") == "skip":
        # What is skipped on purpose is over with the next night that takes place.
        due = [at for at in due if at > max(ran, default=0)]
    open_ones = [at for at in due if at not in ran]
    if not open_ones:
        return ""
    more = f", and {len(open_ones) - 1} more since" if len(open_ones) > 1 else ""
    return (
        f"schedule {row.name} ({times}) was due at {moment(open_ones[0])}{more}: no run has begun"
    )


async def silent(scene: Scene) -> list[Finding]:
    """Jobs whose last completed night measured nothing where there always was something.

    Over when a later night has output again.
    """
    rows = await scene.reader.runs(RunFilter(status=(RunStatus.COMPLETED,), limit=_COMPLETED))
    newest: dict[str, RunRow] = {}
    for row in rows:
        known = newest.get(row.job)
        if own(row) and (known is None or (row.finished or 0) > (known.finished or 0)):
            newest[row.job] = row
    lasting = {known.key for known in scene.lasting("no-output")}
    jobs = {known.job for known in scene.lasting("no-output")}
    found = []
    for job, row in newest.items():
        if (row.finished or 0) < scene.now - RECENT_MS and job not in jobs:
            continue
        for one in await scene.memory.outputs(scene.reader, row):
            key = f"no-output:{job}:{one.name}"
            if one.silent or (key in lasting and not one.value):
                found.append(Finding(key, "no-output", job, row.name, _told(row, one)))
    return found


def _told(row: RunRow, one: OutputView) -> str:
    what = f"'{one.name}' was not measured" if one.value is None else f"0 {one.name}"
    usual = "" if one.median is None else f", median of {one.nights} nights {one.median:,.10g}"
    return f"run {row.name} completed with nothing to show: {what}{usual}"

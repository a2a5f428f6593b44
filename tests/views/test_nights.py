"""Nights as a calendar: what ran, what was missed, what drifted; and the schedule."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from nightproof import job, step
from nightproof.journal.records import run_name
from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.views import nights, schedules
from nightproof.views.replicates import Replicates

DUE = datetime(2026, 10, 15, 19, 30, tzinfo=UTC)
"""04:30 on 16 October in Tokyo."""
DAY = timedelta(days=1)


def ms(moment):
    return int(moment.timestamp() * 1000)


@pytest.fixture
def at_noon(fake_clock):
    """It is noon in UTC; the next night is due at 19:30."""
    fake_clock.at = datetime(2026, 10, 15, 12, tzinfo=UTC).timestamp()
    return fake_clock


def served(night, fake_clock, missed="catch up", name="main/tonight", job="main", tz="Asia/Tokyo"):
    """The store has seen the schedule at 04:30 since, and now."""
    spec = json.dumps({"tz": tz, "at": "04:30", "missed": missed, "catchUp": 7})
    now = int(fake_clock.at * 1000)
    row = ScheduleRow(name, job, "jobs.py:main", spec, now, now)
    night.ask(lambda app: app.journal.keep_schedule(row))


@step(name="said")
async def said(n: int) -> int:
    if n < 0:
        raise ValueError(f"{n} is below zero")
    return n


@pytest.fixture
def main(night_contract):
    """A job that fails below zero."""

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await said(contract.n)

    return main


def ran(night, main, contract, at):
    """The night of this time runs now; its run's name."""
    name = run_name("main", contract.digest)
    night.ask(lambda app: app.journal.fire(FireRow("main/tonight", ms(at), name, b"{}")))
    night.run(main, contract)
    return name


def calendar(night, **more):
    """The calendar as the store tells it."""
    return night.ask(lambda app: nights.calendar(app.journal, **{"nights": 5, **more}))


def shown(found, job="main"):
    """The nights of a job that something is known of."""
    [one] = [one for one in found.jobs if one.job == job]
    return {night.date: night.status for night in one.nights if night.status}


def test_nights_are_those_of_the_schedules_zone(night, at_noon, night_contract, main):
    """What is due on the 16th in Tokyo, the 15th in UTC, is the night of the 16th."""
    served(night, at_noon)
    at_noon.at = DUE.timestamp() + 60
    name = ran(night, main, night_contract(n=1), DUE)
    found = calendar(night)
    [one] = found.jobs
    assert (one.zone, one.schedules) == ("Asia/Tokyo", ["main/tonight"])
    assert shown(found) == {"2026-10-16": "completed"}
    assert one.nights[-1].run == name
    assert one.last == one.nights[-1]
    assert found.dates[-1] == "2026-10-16"


def test_a_night_that_was_caught_up_later_keeps_its_date(night, at_noon, night_contract, main):
    """Two nights are missed; the first is run two days late, the second never."""
    served(night, at_noon)
    at_noon.at = (DUE + 2 * DAY).timestamp() - 600
    served(night, at_noon)
    assert shown(calendar(night)) == {"2026-10-16": "missed", "2026-10-17": "missed"}
    ran(night, main, night_contract(n=1), DUE)
    assert shown(calendar(night)) == {"2026-10-16": "completed", "2026-10-17": "missed"}


def test_a_night_that_is_not_late_is_due(night, at_noon, night_contract, main):
    """For an hour nothing is wrong."""
    served(night, at_noon)
    at_noon.at = (DUE + timedelta(minutes=59)).timestamp()
    found = calendar(night)
    assert shown(found) == {"2026-10-16": "due"}
    assert found.jobs[0].last is None
    at_noon.at += 120
    assert shown(calendar(night)) == {"2026-10-16": "missed"}


def test_what_is_skipped_on_purpose_is_over_with_the_next_night(
    night, at_noon, night_contract, main
):
    """Until then it is missed."""
    served(night, at_noon, missed="skip")
    at_noon.at = (DUE + DAY).timestamp()
    served(night, at_noon, missed="skip")
    assert shown(calendar(night))["2026-10-16"] == "missed"
    ran(night, main, night_contract(n=1), DUE + DAY)
    assert shown(calendar(night)) == {"2026-10-16": "skipped", "2026-10-17": "completed"}


def test_the_worst_of_several_runs_names_a_night(night, at_noon, night_contract, main):
    """With how many there were of each, and the newest of the worst."""
    for n in (1, 2, 3):
        night.run(main, night_contract(n=n))
    night.run(main, night_contract(n=-1))
    worst = run_name("main", night_contract(n=-1).digest)
    [one] = calendar(night, zone="Asia/Tokyo").jobs
    assert (one.nights[-1].date, one.zone) == ("2026-10-15", "Asia/Tokyo")
    assert one.nights[-1].counts == {"failed": 1, "completed": 3}
    assert (one.nights[-1].status, one.nights[-1].run) == ("failed", worst)


def test_many_runs_are_counted_as_read_one_by_one(
    night, at_noon, night_contract, main, monkeypatch
):
    """A calendar of more runs than are read comes out as one that reads all."""
    for n in range(5):
        night.run(main, night_contract(n=n))
        at_noon.at += 3600 * 5
    whole = calendar(night, zone="UTC")
    assert sum(one.counts.get("completed", 0) for one in whole.jobs[0].nights) == 5
    monkeypatch.setattr(nights, "_ROWS", 0)
    monkeypatch.setattr(nights, "_FEWEST", 2)
    assert calendar(night, zone="UTC").jobs[0].nights == whole.jobs[0].nights


@pytest.mark.sqlite_only
def test_a_run_whose_replicate_came_out_differently_has_drifted(
    night, at_noon, night_contract, main
):
    """The canary's remark tells, and the newest one of a run counts."""
    first = night.run(main, night_contract(n=1)).name
    for equal, status in ((False, "drifted"), (True, "completed")):
        at_noon.at += 60
        made = night.run(main, night_contract(n=1), replicate=-1).name
        told = {"kind": "canary", "with": first, "equal": equal, "message": "as told"}

        async def note(app, made=made, told=told):
            row = await app.journal.find(made)
            assert await app.journal.annotate(row.id, json.dumps(told).encode())

        night.ask(note)
        assert shown(calendar(night, zone="UTC")) == {"2026-10-15": status}
    told = night.ask(lambda app: Replicates().of(app.journal, "main", 0, 10))
    assert [(one.of, one.equal) for one in told] == [(first, True), (first, False)]


@pytest.mark.sqlite_only
def test_a_replicate_with_another_result_has_drifted(night, at_noon, night_contract, monkeypatch):
    """Without a canary; one with the same result says nothing."""
    results = iter([7, 7, 8])

    @step(name="drawn")
    async def drawn() -> int:
        return next(results)

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await drawn()

    first = night.run(main, night_contract(n=1)).name
    night.run(main, night_contract(n=1), replicate=-1)
    assert shown(calendar(night, zone="UTC")) == {"2026-10-15": "completed"}
    night.run(main, night_contract(n=1), replicate=-1)
    assert shown(calendar(night, zone="UTC")) == {"2026-10-15": "drifted"}
    [whole] = calendar(night, zone="UTC").jobs
    assert whole.nights[-1].counts == {"drifted": 1}
    monkeypatch.setattr(nights, "_ROWS", 0)
    monkeypatch.setattr(nights, "_FEWEST", 2)
    assert calendar(night, zone="UTC").jobs[0].nights == whole.nights, "counted once"
    [one] = night.ask(lambda app: Replicates().of(app.journal, "main", 0, 10))
    assert (one.of, one.equal, one.run) == (first, False, f"{first}.2")


def plans(night, **more):
    """The schedules as the store tells them."""
    return night.ask(lambda app: schedules.schedules(app.journal, **more))


def test_the_schedule_tells_what_comes_and_what_ran(night, at_noon, night_contract, main):
    """Next times in the job's zone; the last ones with what ran, or that nothing did."""
    served(night, at_noon)
    at_noon.at = (DUE + DAY).timestamp() + 60
    name = ran(night, main, night_contract(n=1), DUE)
    served(night, at_noon)
    [one] = plans(night, coming=2)
    assert one.next == ["2026-10-18T04:30:00+09:00", "2026-10-19T04:30:00+09:00"]
    assert [(each.run, each.status) for each in one.last] == [("", "due"), (name, "completed")]
    assert (one.served, one.retired, one.missed) == (True, False, [])
    at_noon.at += 3600
    [one] = plans(night)
    assert [each.status for each in one.last] == ["missed", "completed"]
    assert one.missed == ["2026-10-16T19:30:00.000+00:00"]
    assert not one.served


def test_a_schedule_that_only_others_are_served_beside_is_retired(night, at_noon):
    """It has no next time, and nothing of it is missed any more."""
    served(night, at_noon, name="main/old")
    at_noon.at = (DUE + DAY).timestamp()
    served(night, at_noon, name="main/new", job="other")
    new, old = plans(night)
    assert (new.schedule, new.retired, old.retired) == ("main/new", False, True)
    assert (old.next, old.missed) == ([], [])


def test_a_clock_that_was_ahead_retires_no_schedule(night, at_noon):
    """A schedule that was seen by a wrong clock does not make the others look forgotten."""
    real = at_noon.at
    at_noon.at = real + 31 * 86_400
    served(night, at_noon, name="main/old")
    at_noon.at = real
    served(night, at_noon, name="main/new", job="other")
    assert [one.retired for one in plans(night)] == [False, False]


def test_a_zone_that_is_not_known_is_a_problem_of_one_schedule(night, at_noon):
    """The others are told of all the same, and so is the calendar."""
    served(night, at_noon, tz="Mars/Olympus")
    served(night, at_noon, name="other/tonight", job="other")
    bad, good = plans(night)
    assert "Mars/Olympus" in bad.problem
    assert (good.problem, len(good.next)) == ("", 3)
    assert [one.job for one in calendar(night).jobs] == ["main", "other"]


def test_times_of_days_that_are_over_are_worked_out_once(fake_clock):
    """A schedule of every minute has many; what is cached is what would come out."""
    times = schedules.Timetable("Europe/Berlin", cron="*/30 * * * *")
    fake_clock.at = datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp()
    until = int(fake_clock.at * 1000)
    found = schedules._due(times, until - 86_400_000 * 2, until)
    assert found == sorted(set(found))
    assert (len(found), found[-1]) == (97, until)
    assert schedules._due(times, until - 86_400_000 * 2, until) == found

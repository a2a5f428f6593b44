"""Missed nights, silent nights, drifting jobs, and quotas that will not last."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from nightproof import Quota, Retry, job, measure, step
from nightproof.errors import Exhausted
from nightproof.journal.records import run_name
from nightproof.journal.schedules import FireRow, ScheduleRow

OPEN, CLEARED = "opened", "cleared"
HOUR = 3600.0


def ms(moment):
    return int(moment.timestamp() * 1000)


def served(night, fake_clock, missed="catch up", name="main/tonight"):
    """The store has seen the schedule at 04:30 in Tokyo (19:30 UTC) since, and now."""
    spec = json.dumps({"tz": "Asia/Tokyo", "at": "04:30", "missed": missed, "catchUp": 7})
    now = int(fake_clock.at * 1000)
    row = ScheduleRow(name, "main", "jobs.py:main", spec, now, now)
    night.ask(lambda app: app.journal.keep_schedule(row))


@pytest.fixture
def at_noon(fake_clock):
    """It is noon in UTC; the next night is due at 19:30."""
    fake_clock.at = datetime(2026, 10, 15, 12, tzinfo=UTC).timestamp()
    return fake_clock


DUE = datetime(2026, 10, 15, 19, 30, tzinfo=UTC)


def ran(night, night_contract, at, n):
    """The night of this time has run."""
    contract = night_contract(n=n)

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return 1

    row = FireRow("main/tonight", ms(at), run_name("main", contract.digest), b"{}")
    night.ask(lambda app: app.journal.fire(row))
    night.run(main, contract)


def test_a_missed_night_is_told_an_hour_late_and_clears(
    night, watch, told, at_noon, night_contract
):
    """A fire without a run is none; the run of the night ends it."""
    served(night, at_noon)
    at_noon.at = (DUE + timedelta(minutes=59)).timestamp()
    served(night, at_noon)
    assert watch() == []
    at_noon.at = (DUE + timedelta(minutes=61)).timestamp()
    row = FireRow("main/tonight", ms(DUE), "main-1", b"{}")
    night.ask(lambda app: app.journal.fire(row))
    assert watch() == [("missed", OPEN)]
    assert "due at 2026-10-15 19:30:00 UTC" in told.texts[0]
    at_noon.at += 24 * HOUR
    assert watch() == [("missed", OPEN)]


def test_a_missed_night_is_over_when_it_has_run(night, watch, told, at_noon, night_contract):
    """Caught up, late as it is."""
    served(night, at_noon)
    at_noon.at = (DUE + timedelta(hours=2)).timestamp()
    assert watch() == [("missed", OPEN)]
    ran(night, night_contract, DUE, 1)
    assert watch() == [("missed", OPEN), ("missed", CLEARED)]


def test_a_skipped_night_is_over_with_the_next(night, watch, told, at_noon, night_contract):
    """Nobody will run it; what counts is that the next one takes place."""
    served(night, at_noon, "skip")
    at_noon.at = (DUE + timedelta(hours=2)).timestamp()
    assert watch() == [("missed", OPEN)]
    at_noon.at = (DUE + timedelta(days=1)).timestamp()
    ran(night, night_contract, DUE + timedelta(days=1), 1)
    assert watch() == [("missed", OPEN), ("missed", CLEARED)]


def test_a_schedule_that_is_no_longer_served_misses_nothing(night, watch, told, at_noon):
    """Another one is, so somebody serves; alone it would be missed."""
    served(night, at_noon)
    at_noon.at += 30 * 60
    served(night, at_noon, name="main/other")
    at_noon.at = (DUE - timedelta(hours=1)).timestamp()
    served(night, at_noon, name="main/other")
    at_noon.at = (DUE + timedelta(minutes=90)).timestamp()
    assert watch() == [("missed", OPEN)]
    assert "main/other" in told.texts[0]


def rows_job(night_contract, take=True):
    @job(name="main")
    async def main(contract: night_contract) -> int:
        if take:
            measure("rows", contract.n % 1000)
            measure("always zero", 0)
        return contract.n

    return main


def nights(night, fake_clock, night_contract, *values, start=0, take=True):
    """One night after the other, with so many rows each."""
    for n, value in enumerate(values):
        contract = night_contract(n=1000 * (start + n + 1) + value)
        night.run(rows_job(night_contract, take), contract)
        fake_clock.at += 24 * HOUR


def test_a_night_without_output_is_told_with_its_history(
    night, watch, told, fake_clock, night_contract
):
    """Zero where it was never zero; what is always zero is no news; output ends it."""
    nights(night, fake_clock, night_contract, 0, 900, 500, 700)
    assert watch() == []
    fake_clock.at -= 24 * HOUR
    nights(night, fake_clock, night_contract, 800, 600, *range(601, 606), start=10)
    nights(night, fake_clock, night_contract, 0, start=20)
    fake_clock.at -= 1
    assert watch() == [("no-output", OPEN)]
    assert "0 rows, median of 11 nights 603" in told.texts[0]
    nights(night, fake_clock, night_contract, 0, start=30)
    fake_clock.at -= 1
    assert watch() == [("no-output", OPEN)]
    nights(night, fake_clock, night_contract, 55, start=40)
    assert watch() == [("no-output", OPEN), ("no-output", CLEARED)]


def test_a_measure_that_is_not_taken_any_more_is_told(
    night, watch, told, fake_clock, night_contract
):
    """Nothing was written, so nothing was counted."""
    nights(night, fake_clock, night_contract, 3, 4, 5)
    nights(night, fake_clock, night_contract, 0, start=10, take=False)
    fake_clock.at -= 1
    assert watch() == [("no-output", OPEN)]
    assert "'rows' was not measured, median of 3 nights 4" in told.texts[0]


def test_two_nights_are_no_history(night, watch, fake_clock, night_contract):
    """A young job may well have nothing to show."""
    nights(night, fake_clock, night_contract, 3, 4, 0)
    fake_clock.at -= 1
    assert watch() == []


def compared(night, main, contract, equal):
    """A replicate that the canary has compared."""
    outcome = night.run(main, contract, replicate=-1)
    note = json.dumps({"kind": "canary", "with": "x", "equal": equal}).encode()

    async def annotate(app):
        row = await app.journal.find(outcome.name)
        assert await app.journal.annotate(row.id, note)

    night.ask(annotate)
    return outcome.name


def test_repeated_drift_is_told(night, watch, told, fake_clock, night_contract):
    """Once is chance; twice of five is not; an equal one ends it."""
    main, contract = rows_job(night_contract), night_contract(n=5)
    night.run(main, contract)
    seen = []
    for equal in (True, False, True, False, False, True):
        fake_clock.at += HOUR
        compared(night, main, contract, equal)
        seen.append(list(watch()))
    assert seen[2] == []
    assert seen[3] == seen[4] == [("drift", OPEN)]
    assert seen[5] == [("drift", OPEN), ("drift", CLEARED)]
    assert "2 of the last 4 canaries differ" in told.texts[0]


def test_a_quota_that_is_used_up_for_long_is_told(night, watch, told, fake_clock, night_contract):
    """While a run waits for it, and the wait is longer than the stall limit."""
    short = [True]

    @step(quota=Quota("admob", rate="900/min"), retry=Retry(attempts=3))
    async def ask() -> int:
        if short[0]:
            raise Exhausted("used up", resets_at=datetime.fromtimestamp(fake_clock.at, UTC)
                            + timedelta(hours=5))  # fmt: skip
        return 1

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.run(main).status == "parked"
    assert watch(stall=6 * HOUR) == []
    assert watch() == [("quota", OPEN)]
    assert "in 5 h 0 min" in told.texts[0]
    assert "waits for it" in told.texts[0]
    short[0] = False
    fake_clock.at += 5 * HOUR + 1
    assert night.run(main).status == "completed"
    assert watch() == [("quota", OPEN), ("quota", CLEARED)]


def test_a_quota_that_will_not_last_is_told_before_it_is_used_up(
    night, watch, told, fake_clock, night_contract, killed
):
    """Ten items, six permits a day, four used: six to do and two left."""
    quota = Quota("daily", daily=6)
    done = []

    @step(quota=quota)
    async def ask(i: int) -> int:
        if len(done) == 4:
            raise killed
        done.append(i)
        return i

    @job(name="main")
    async def main(contract: night_contract) -> int:
        return sum(await ask.map(range(10), concurrency=1))

    night.die(main)
    assert watch() == [("quota", OPEN)]
    assert "of 6 requests a day left" in told.texts[0]
    assert "items to do with it" in told.texts[0]

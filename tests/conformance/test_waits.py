"""Waiting: durably, in the process or parked; signals taken once; quotas shared."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from conforming.combination import PARK_AFTER
from conforming.jobs import waits

from nightproof import EffectHeld, RunParked
from nightproof.model import clock
from nightproof.model.awaited import MISFIT, Awaited, awaited


def times(told: list[str], what: str) -> list[float]:
    """The times of the diary's lines of one kind."""
    return [float(line.split()[1]) for line in told if line.split()[0] == what]


def test_short_sleeps_are_slept_and_recorded(night, case, diary):
    """The run waits and goes on; after a crash nobody waits again."""
    night.crash(waits.naps, case(), at="last:before")
    assert night.value(waits.naps, case()) == "awake"
    (before,), (after,) = times(diary(), "before"), times(diary(), "after")
    assert after - before >= 0.25


def test_a_long_sleep_parks_the_run_until_its_time(night, case, diary):
    """The process may leave; whoever goes on waits for what is left only."""
    running = [night.begin(waits.sleeps, case(n=n)) for n in (0, 1)]
    outcomes = [one.result(timeout=60) for one in running]
    before = max(times(diary(), "before"))
    for n, outcome in enumerate(outcomes):
        assert outcome.status == "parked"
        assert isinstance(outcome.error, RunParked)
        assert outcome.error.until.timestamp() == pytest.approx(before + waits.LONG, abs=1.2)
        row = night.row(waits.sleeps, case(n=n))
        assert row.status == "parked"
        assert row.wake / 1000 == pytest.approx(before + waits.LONG, abs=1.2)
    for n in (0, 1):
        assert night.go_on(waits.sleeps, case(n=n)).error is None
    assert min(times(diary(), "after")) >= min(times(diary(), "before")) + waits.LONG - 0.2
    assert len(times(diary(), "before")) == 2


def test_a_run_parks_when_the_steps_beside_the_wait_are_done(night, case, diary):
    """A step that had begun is not cut off, and is on record."""
    outcome = night.run(waits.sleeps_beside, case())
    assert outcome.status == "parked"
    assert diary() == ["begun", "done"]
    night.signal(outcome.name, "go", None)
    assert night.go_on(waits.sleeps_beside, case()).value == [2, 1]
    assert diary() == ["begun", "done"]


def test_a_signal_wakes_a_parked_run(night, case):
    """Parked without a time; the payload arrives typed, other signals do nothing."""
    outcome = night.run(waits.approved, case())
    assert outcome.status == "parked"
    assert outcome.error.until is None
    assert "approved" in night.row(waits.approved, case()).waiting
    night.signal(outcome.name, "other", 1)
    night.signal(outcome.name, "approved", "2026-11-01T00:00:00Z")
    assert night.go_on(waits.approved, case()).value == datetime(2026, 11, 1, tzinfo=UTC)


def test_a_signal_that_was_sent_before_is_found(night, case):
    """And each signal is taken once, in order, also by waits side by side."""
    outcome = night.run(waits.in_order, case())
    for n in (1, 2, 3):
        night.signal(outcome.name, "n", n)
    done = night.go_on(waits.in_order, case())
    assert done.value[0] == 1
    assert sorted(done.value[1:]) == [2, 3]


def test_a_wait_that_timed_out_stays_so(night, case):
    """A signal that comes later does not change the past."""
    night.crash(waits.answered, case(), at="last:before")
    night.signal(night.row(waits.answered, case()).name, "approved", "yes")
    assert night.value(waits.answered, case()) == "no signal 'approved' within 0.2 s"


def test_a_timeout_of_a_signal_is_durable(night, case):
    """It counts from the first time, also where the run is parked meanwhile."""
    began = clock.now().timestamp()
    outcome = night.run(waits.answered, case(n=1))
    assert outcome.status == "parked"
    assert outcome.error.until.timestamp() == pytest.approx(began + waits.LONG, abs=1.2)
    done = night.go_on(waits.answered, case(n=1))
    assert done.value == f"no signal 'approved' within {waits.LONG:g} s"
    assert clock.now().timestamp() - began > PARK_AFTER


def test_a_payload_that_does_not_fit_is_put_aside(night, case):
    """Text for a number, and none: it is said, and the run goes on waiting for a good one."""
    name = night.run(waits.counts, case()).name

    def put_aside():
        """What came last, once whoever goes on with the run has put it aside."""
        assert night.run(waits.counts, case()).status == "parked"
        row = night.row(waits.counts, case())
        return [one for one in awaited(row.waiting) if one.misfit]

    expects = "a whole number"
    assert awaited(night.row(waits.counts, case()).waiting) == [Awaited("n", expects)]
    night.signal(name, "n", "many")
    wrong = "Input should be a valid integer, unable to parse string as an integer"
    assert night.until(put_aside) == [Awaited("n", expects, wrong)]
    night.signal(name, "n", None)
    said = night.until(lambda: put_aside() and (notes := misfits(night, name))[1:] and notes)
    assert [note["message"].partition("(got ")[2] for note in said] == ["'many')", "None)"]
    night.signal(name, "n", 3)
    assert night.go_on(waits.counts, case()).value == 3


def misfits(night, name):
    """What the log says of payloads that did not fit."""
    return night.notes(name, MISFIT)


def test_killed_and_then_parked(night, case, diary):
    """Signal, act and note happen once."""
    night.crash(waits.woken, case(), at="effect acts:confirm")
    outcome = night.run(waits.woken, case())
    assert outcome.status == "parked"
    assert not isinstance(outcome.error, EffectHeld)
    night.signal(outcome.name, "go", "now")
    assert night.go_on(waits.woken, case()).value == "now"
    assert diary() == ["acted", "got now", "last"]


def test_a_short_exhaustion_is_waited_out_and_costs_no_try(night, case, diary):
    """The policy has two attempts; three waits for the quota do not use them up."""
    assert night.value(waits.waits_for_quota, case()) == 1
    asked = times(diary(), "asked")
    assert len(asked) == 4
    assert asked[-1] - asked[0] >= 0.6


def test_a_long_exhaustion_parks_the_run(night, case, diary):
    """Until the reset; then the step succeeds."""
    outcome = night.run(waits.parks_for_quota, case())
    assert outcome.status == "parked"
    assert "daily quota" in night.row(waits.parks_for_quota, case()).waiting
    assert night.go_on(waits.parks_for_quota, case()).value == 1
    assert diary() == ["asked", "asked"]


def test_quotas_hold_over_runs(night, case, diary):
    """Two runs at once never have more than the rate between them."""
    running = [night.begin(waits.shares, case(n=n)) for n in (1, 2)]
    for n, one in enumerate(running, 1):
        one.result(timeout=60)  # it may have parked for its turn
        assert night.go_on(waits.shares, case(n=n)).value == 6
    calls = sorted(times(diary(), "call"))
    assert len(calls) == 12
    assert max(sum(a <= b < a + 1.0 for b in calls) for a in calls) <= 8


def test_tokens_are_counted_when_they_are_spent(night, case, diary):
    """The next call waits until what was spent has lapsed."""
    assert night.value(waits.spender, case()) == 2
    first, second = times(diary(), "call")
    assert second - first >= 0.9

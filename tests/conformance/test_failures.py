"""Failures: triage, histories, limits of time, resuming, cancelling, undoing."""

from __future__ import annotations

import json

import pytest
from conforming.jobs import failing

from nightproof import RunCancelled, StepFailed
from nightproof.errors import DeadlineExceeded, ExpectationFailed


def test_a_failure_is_the_same_live_and_on_replay(night, case, diary):
    """StepFailed with type, message and one note a try; a crash later changes nothing."""
    night.crash(failing.caught, case(), at="last:before")
    outcome = night.run(failing.caught, case())
    assert outcome.status == "completed"
    *tried, seen, end = diary()
    assert (tried, end) == (["unreachable"] * 3, "last"), "the body saw something else"
    assert "failed after 3 attempts: Transient: no answer 3 Transient no answer 3" in seen
    assert seen.count("'transient'") == 3
    assert "no answer 1" in seen
    assert [note["tries"] for note in night.notes(outcome.name, "retry")] == [1, 2]


def test_a_step_that_succeeds_in_the_end_succeeds(night, case, diary):
    """The other tries are in the log."""
    outcome = night.run(failing.recovered, case())
    assert (outcome.value, outcome.executed, outcome.failed) == (3, 1, 0)
    assert diary() == ["flaky"] * 3
    assert len(night.notes(outcome.name, "retry")) == 2


@pytest.mark.parametrize("error", list(failing.ERRORS))
def test_permanent_failures_are_not_retried(night, case, diary, error):
    """Programming errors bubble up at once, as StepFailed."""
    outcome = night.run(failing.hopeless, case(names=(error,)))
    assert isinstance(outcome.error, StepFailed)
    assert (outcome.error.type, outcome.error.step) == (error, "raises")
    assert diary() == [f"raises {error}"]


@pytest.mark.parametrize(("n", "least"), [(0, 0.6), (1, 1.0)], ids=["raised", "http"])
def test_what_a_server_says_to_wait_is_a_minimum(night, case, diary, n, least):
    """Retry-After counts even where the policy would have waited less."""
    assert night.value(failing.told_to_wait, case(n=n)) == 1
    first, second = map(float, diary())
    assert second - first >= least


def test_the_users_classification_wins(night, case, diary):
    """classify makes a permanent error one that is retried."""
    assert night.value(failing.classified, case()) == 1
    assert len(diary()) == 2


@pytest.mark.parametrize("n", [0, 1], ids=["async", "plain"])
def test_a_timeout_ends_one_try(night, case, diary, n):
    """The next try may succeed; the log names the limit."""
    outcome = night.run(failing.in_time, case(n=n))
    assert outcome.value == 1
    (note,) = night.notes(outcome.name, "retry")
    assert "took longer than 0.3 s" in note["message"]
    assert diary() == ["slow", "slow"]


def test_resuming_a_failed_run_tries_what_failed_and_keeps_the_rest(night, case, diary, switch):
    """The step that failed runs once more with each resume; the others do not."""
    for count in (1, 2):
        outcome = night.run(failing.resumable, case())
        assert (outcome.status, outcome.error.reason) == ("failed", "bad two")
        assert diary() == ["fragile 0", "fragile 1", *["fragile 2"] * count]
    switch("well")
    assert night.value(failing.resumable, case()) == [0, 1, 2, 3]
    assert diary()[4:] == ["fragile 2", "fragile 3"]
    assert night.run(failing.resumable, case()).from_record


def test_a_deadline_fails_the_run(night, case, diary):
    """Counted from the first start; a resume behind it fails at once."""
    for _ in range(2):
        outcome = night.run(failing.late, case())
        assert outcome.status == "failed"
        assert isinstance(outcome.error, DeadlineExceeded)
        assert "deadline of 0.5 s" in str(outcome.error)
    assert diary() == []


def test_an_unmet_expectation_fails_the_run(night, case):
    """A run that did nothing is a failed run; the record says why."""
    outcome = night.run(failing.expecting, case())
    assert isinstance(outcome.error, ExpectationFailed)
    row = night.row(failing.expecting, case())
    assert row.status == "failed"
    assert "no revenue rows at all" in json.loads(row.error)["message"]
    assert night.value(failing.expecting, case(names=("a",))) == 1


def test_an_error_of_the_body_fails_the_run(night, case, diary):
    """It is told with its type, and a resume goes through the record again."""
    for _ in range(2):
        outcome = night.run(failing.buggy, case())
        assert outcome.status == "failed"
        assert "'b'" in str(outcome.error)
        assert json.loads(night.row(failing.buggy, case()).error)["type"] == "KeyError"
    assert diary() == ["before"]


@pytest.mark.parametrize("n", [0, 1], ids=["in a step", "asleep"])
def test_a_cancelled_run_ends_and_can_be_started_again(night, case, diary, switch, n):
    """`nightproof cancel` reaches it in a step and in a wait."""
    running = night.begin(failing.cancellable, case(n=n))
    night.until(diary)
    if n:
        switch("go")
        night.until(lambda: night.row(failing.cancellable, case(n=n)).status == "parked")
        running.result(timeout=30)
    night.cancel(night.row(failing.cancellable, case(n=n)).name)
    if not n:
        outcome = running.result(timeout=30)
        assert outcome.status == "cancelled"
        assert isinstance(outcome.error, RunCancelled)
    night.until(lambda: night.row(failing.cancellable, case(n=n)).status == "cancelled")
    switch("go")
    switch("awake")
    assert night.value(failing.cancellable, case()) == 1


def test_what_was_done_is_undone_in_reverse(night, case, diary, switch):
    """When the run fails for good, last first, by arguments or by result; a resume does it again."""
    outcome = night.run(failing.trip, case())
    assert outcome.status == "failed"
    done = ["book 1", "pay 2", "book 3", "sold out"]
    undone = ["undo 3 booking 3", "undo 2", "undo 1 booking 1"]
    assert diary() == [*done, *undone]
    assert len(night.notes(outcome.name, "undone")) == 3
    switch("well")
    assert night.value(failing.trip, case()) == 1
    assert diary() == [*done, *undone, *done]


@pytest.mark.parametrize("n", [0, 1, 2], ids=["argument", "inside", "map"])
def test_a_refused_token_is_refreshed_once(night, case, diary, n):
    """The expiring step that the failing one depends on runs again, then it gets one more try."""
    night.value(failing.refreshing, case(n=n))
    assert diary().count("token") == 2
    assert "with token-2" in diary()


def test_a_token_that_is_refused_again_fails_the_step(night, case, diary, switch):
    """One refresh, then it is permanent."""
    switch("closed")
    outcome = night.run(failing.refreshing, case())
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.type == "Unauthenticated"
    assert diary().count("token") == 2

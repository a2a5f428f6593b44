"""Steps, alone and side by side: executed once, found again by what they are asked."""

from __future__ import annotations

import asyncio

import pytest
from conforming.jobs import steps

from nightproof.errors import CodecError, StepFailed


def test_steps_run_once_and_a_complete_run_returns_its_record(night, case, diary):
    """Async, plain and pure steps; the second start of one contract executes nothing."""
    first = night.run(steps.chain, case(n=3))
    assert (first.value, first.executed, first.from_record) == (6, 3, False)
    again = night.run(steps.chain, case(n=3))
    assert (again.value, again.executed, again.from_record) == (6, 0, True)
    assert again.name == first.name
    assert night.value(steps.chain, case(n=4)) == 7
    assert diary() == ["double 3", "plus 6 6", "double 4", "plus 8 6"]


def test_gather_groups_branches_and_try_are_plain_python(night, case, diary):
    """Killed behind them: each call gets its own result, and nothing runs again."""
    night.crash(steps.side_by_side, case(n=4), at="last:before")
    outcome = night.run(steps.side_by_side, case(n=4))
    assert outcome.value == [30, 10, 20, 110, 120, 2, 6]
    told = diary()
    assert sorted(line for line in told if line.startswith("done")) == [
        "done 1", "done 11", "done 12", "done 2", "done 3",
    ]  # fmt: skip
    assert told.index("begun 2") < told.index("done 3"), "they did not overlap"
    assert told.count("fails 1") == 1
    assert [line for line in told if line.startswith("StepFailed")] == [
        "StepFailed: step 'fails' failed: ValueError: bad 1"
    ]
    assert outcome.divergences == []


def test_equal_calls_are_told_apart(night, case, diary):
    """The same step with the same inputs four times: four results, replayed in order."""
    night.crash(steps.equal_calls, case(), at="last:before")
    assert night.value(steps.equal_calls, case()) == [1, 2, 3, 4]
    assert diary().count("counted") == 4


def test_killed_in_a_pure_step(night, case, diary):
    """It runs again; what is on record before it does not."""
    night.crash(steps.chain, case(n=3), at="half:mid")
    assert night.value(steps.chain, case(n=3)) == 6
    assert diary() == ["double 3", "plus 6 6"]


def test_a_job_can_be_run_from_python(night, case, diary):
    """In the caller's loop, or for scripts: the same run as the command's."""
    with night.surroundings():
        assert asyncio.run(steps.chain.run(case(n=3), store=night.settings.store)) == 6
        assert steps.chain.run_sync(case(n=3)) == 6
    assert night.run(steps.chain, case(n=3)).from_record
    assert diary() == ["double 3", "plus 6 6"]


def test_a_step_inside_a_step_is_an_ordinary_call(night, case):
    """It is not recorded on its own."""
    outcome = night.run(steps.nested, case())
    assert (outcome.value, outcome.executed) == (2, 1)


def test_outside_a_run_a_step_is_an_ordinary_call(night, case, diary):
    """Unit tests need nothing; .fn is the function itself."""
    assert asyncio.run(steps.outer(case().case, 8)) == 2
    assert steps.plus.fn(case().case, 1) == 2
    assert night.row(steps.nested, case()) is None
    assert diary() == ["outer", "plus 1 1"]


def test_typed_values_are_the_same_live_and_on_replay(night, case, diary):
    """Models, dataclasses, enums, bytes, decimals, times: the decoded form, both times."""
    night.crash(steps.typed, case(), at="last:before")
    value = night.value(steps.typed, case())
    assert value == "b'\\x00\\xff' 1.10 2026-11-22T10:30:00+00:00 ['a']"
    seen, *rest = diary()
    assert rest == ["took", "last"], "the body saw something else on replay"
    assert "'pair': [1, 2]" in seen
    assert "'nan': nan" in seen
    assert " 1.0 " in seen


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (steps.untrue, "the result of step 'unfit' does not match its annotation int"),
        (steps.zoneless, "the result of step 'naive'"),
    ],
)
def test_a_result_that_does_not_fit_is_a_clear_permanent_error(night, case, job, says):
    """It names step and annotation, and is not retried."""
    outcome = night.run(job, case())
    assert outcome.status == "failed"
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.type == "CodecError"
    assert says in str(outcome.error)
    assert len(outcome.error.attempts) == 1


def test_a_result_of_the_job_that_does_not_fit_fails_the_run(night, case):
    """It is refused before it is recorded, so that no later start returns it."""
    for _ in range(2):
        outcome = night.run(steps.unfit_itself, case())
        assert outcome.status == "failed"
        assert isinstance(outcome.error, CodecError)
        assert "the result of job 'unfit_itself'" in str(outcome.error)


@pytest.mark.parametrize("job", [steps.by_default, steps.by_hand, steps.by_factory])
def test_ambient_parameters_are_no_part_of_the_identity(night, case, diary, job):
    """A client is handed to the step, and is neither stored nor compared."""
    night.crash(job, case(), at="last:before")
    outcome = night.run(job, case())
    assert outcome.value == 101
    assert diary() == ["asks 1", "last"]
    inputs = [entry.inputs for entry in night.entries(outcome.name, 1)]
    assert inputs[0] == f'["{case().case}",1]'.encode()

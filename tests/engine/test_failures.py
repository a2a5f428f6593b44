"""Failures: retries, histories, time-outs, deadlines, cancelling, undo."""

import asyncio
import threading

import pytest

from nightproof import Exhausted, Permanent, Retry, StepFailed, Transient, expect, job, sleep, step
from nightproof.errors import DeadlineExceeded, ExpectationFailed

QUICK = Retry(attempts=3, base=0.0)


def test_a_step_is_retried_and_its_history_kept(night, killed, night_contract):
    """StepFailed has step, type, message and one note a try; on replay it is the same."""
    seen, alive, calls = [], [], []

    @step(retry=QUICK)
    async def ask(n: int) -> int:
        calls.append(n)
        raise Transient(f"no answer {len(calls)}")

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job
    async def main(contract: night_contract) -> int:
        try:
            await ask(1)
        except StepFailed as failure:
            seen.append((str(failure), failure.type, failure.reason, failure.attempts))
        return await after()

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == 1
    assert seen[0] == seen[1]
    message, type_, reason, attempts = seen[0]
    assert "failed after 3 attempts: Transient: no answer 3" in message
    assert (type_, reason) == ("Transient", "no answer 3")
    assert [note["message"] for note in attempts] == [f"no answer {n}" for n in (1, 2, 3)]
    assert {note["triage"] for note in attempts} == {"transient"}
    assert calls == [1, 1, 1]
    assert len(night.notes(outcome.name, "retry")) == 2


def test_success_after_retries(night, night_contract):
    """The result of the try that succeeded counts; the others are in the log."""
    calls = []

    @step(retry=QUICK)
    def ask() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionResetError("gone")
        return len(calls)

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    outcome = night.run(main)
    assert (outcome.value, outcome.executed, outcome.failed) == (3, 1, 0)
    assert [note["tries"] for note in night.notes(outcome.name, "retry")] == [1, 2]


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), Permanent("x"), ValueError("x")])
def test_permanent_failures_are_not_retried(night, night_contract, error):
    """Programming and data errors bubble up at once."""
    calls = []

    @step(retry=QUICK)
    async def ask() -> int:
        calls.append(1)
        raise error

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    with pytest.raises(StepFailed) as caught:
        night.value(main)
    assert caught.value.type == type(error).__name__
    assert calls == [1]


def test_a_server_told_wait_is_a_minimum(night, night_contract, fake_clock):
    """Retry-After counts even where the policy would have waited less."""
    tries = []

    @step(retry=Retry(attempts=2, base=0, cap=1))
    async def ask() -> int:
        tries.append(fake_clock.at)
        if len(tries) == 1:
            raise Transient("busy", retry_after=25)
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.value(main) == 1
    assert tries[1] - tries[0] >= 25


def test_the_users_classification_wins(night, night_contract):
    """A classify function turns a permanent error into one that is retried."""
    calls = []

    @step(retry=Retry(attempts=2, base=0, classify=lambda error: Transient))
    async def ask() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("cut short")
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.value(main) == 1


@pytest.mark.parametrize("plain", [False, True])
def test_a_timeout_ends_one_try(night, night_contract, plain):
    """The next try may succeed; the message names the step and the limit."""
    calls = []
    gate = threading.Event()

    @step(timeout=0.05, retry=Retry(attempts=2, base=0))
    async def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(30)
        return 1

    @step(timeout=0.05, retry=Retry(attempts=2, base=0))
    def slow_plain() -> int:
        calls.append(1)
        if len(calls) == 1:
            gate.wait(30)
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await (slow_plain() if plain else slow())

    try:
        outcome = night.run(main)
    finally:
        gate.set()
    assert outcome.value == 1
    (note,) = night.notes(outcome.name, "retry")
    assert "took longer than 0.05 s" in note["message"]


def test_the_users_own_timeout_error_keeps_its_text(night, night_contract):
    """A TimeoutError of the step's own is not taken for the step's limit."""

    @step(timeout=30, retry=Retry(attempts=1))
    async def ask() -> int:
        raise TimeoutError("the socket timed out")

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    with pytest.raises(StepFailed, match="the socket timed out"):
        night.value(main)


def test_a_deadline_fails_the_run(night, night_contract):
    """Counted from the first start; a resume behind it fails at once."""

    @job(deadline=0.1)
    async def main(contract: night_contract) -> int:
        await sleep(30)
        return 1

    for _ in range(2):
        outcome = night.run(main)
        assert outcome.status == "failed"
        assert isinstance(outcome.error, DeadlineExceeded)
    assert "deadline of 0.1 s" in str(outcome.error)


def test_an_unmet_expectation_fails_the_run(night, night_contract):
    """A run that did nothing is a failed run; the record says which expectation."""

    @job
    async def main(contract: night_contract) -> int:
        expect([], "no revenue rows at all")
        return 1

    outcome = night.run(main)
    assert isinstance(outcome.error, ExpectationFailed)
    assert b"no revenue rows" in night.row(outcome.name).error


def test_an_exhausted_single_try_still_waits(night, night_contract, fake_clock):
    """With one attempt and a quota that resets soon, the wait is no try either."""
    from datetime import timedelta

    from nightproof.model import clock

    tries = []

    @step(retry=Retry(attempts=1))
    async def ask() -> int:
        tries.append(fake_clock.at)
        if len(tries) == 1:
            raise Exhausted("minute", resets_at=clock.now() + timedelta(seconds=20))
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    assert night.value(main) == 1


def test_an_exhausted_quota_without_a_reset_ends(night, night_contract, fake_clock):
    """Nobody says when it is back: the policy's attempts bound the tries."""
    tries = []

    @step(retry=Retry(attempts=3))
    async def ask() -> int:
        tries.append(1)
        if len(tries) > 50:
            raise Permanent("endless")
        raise Exhausted("some quota")

    @job
    async def main(contract: night_contract) -> int:
        return await ask()

    with pytest.raises(StepFailed, match="some quota"):
        night.value(main)
    assert len(tries) == 3

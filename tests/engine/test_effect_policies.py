"""What an unknown outcome of an effect leads to: hold, retry, skip, or a probe."""

import asyncio
import types

import pytest
from posting import QUICK, posting, posts

from nightproof import (
    EffectHeld,
    NotDone,
    Permanent,
    StepFailed,
    Transient,
    effect,
    idempotency_key,
    job,
    step,
)


@pytest.mark.parametrize("moment", ["before the act", "behind the act"])
def test_hold_stops_after_a_crash_until_somebody_decides(night, killed, night_contract, moment):
    """The default policy: the outcome is unknown, so the run stops and says how to decide."""
    acts = []
    post, trouble = posting(acts)
    trouble.append((moment == "before the act", killed()))
    main = posts(post, night_contract)
    night.die(main)
    for _ in range(2):
        outcome = night.run(main)
        assert outcome.status == "parked"
        assert isinstance(outcome.error, EffectHeld)
        assert "nightproof resolve" in outcome.error.message
        assert "--happened, or --retry" in outcome.error.message
    happened = moment == "behind the act"
    night.resolve("report/mon", happened, b'{"day":"by hand"}' if happened else None)
    assert night.value(main)["day"] == ("by hand" if happened else "mon")
    assert acts == [("mon", "hello")]


def test_hold_stops_live_too(night, night_contract):
    """An exception that leaves the outcome open is as unknown as a crash."""
    acts = []
    post, trouble = posting(acts)
    trouble.append((False, Transient("connection reset")))
    main = posts(post, night_contract)
    outcome = night.run(main)
    assert isinstance(outcome.error, EffectHeld)
    assert "connection reset" in outcome.error.message
    night.resolve("report/mon", True)
    assert night.value(main) is None
    assert len(acts) == 1


def test_a_held_effect_lets_its_neighbours_finish(night, night_contract):
    """Another effect in flight is not cut off in the middle by the hold."""
    acts = []

    @effect(key="bad")
    async def bad() -> int:
        raise Transient("who knows")

    @effect(key="good")
    async def good() -> int:
        acts.append("begun")
        await asyncio.sleep(0.1)
        acts.append("done")
        return 1

    @job
    async def main(contract: night_contract) -> list[int]:
        return list(await asyncio.gather(good(), bad()))

    outcome = night.run(main)
    assert isinstance(outcome.error, EffectHeld)
    assert "'bad'" in outcome.error.message
    assert acts == ["begun", "done"]
    night.resolve("bad", True, b"2")
    assert night.value(main) == [1, 2]
    assert acts == ["begun", "done"]


def test_retry_repeats_with_the_same_idempotency_key(night, killed, night_contract):
    """Policy retry: live and after a crash the provider sees one key."""
    keys, trouble = [], [Transient("reset"), killed()]

    @effect(key="k/{n}", unknown="retry", retry=QUICK)
    async def act(n: int) -> int:
        keys.append(idempotency_key())
        if trouble:
            raise trouble.pop(0)
        return n

    @job
    async def main(contract: night_contract) -> int:
        return await act(1)

    night.die(main)
    assert night.value(main) == 1
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_retry_gives_up_after_its_attempts(night, night_contract):
    """An effect that keeps failing fails, with its history, and can be resumed."""
    acts = []
    post, trouble = posting(acts, unknown="retry")
    trouble.extend([(False, Transient("reset"))] * 3)
    main = posts(post, night_contract)
    with pytest.raises(StepFailed) as caught:
        night.value(main)
    assert [note["type"] for note in caught.value.attempts] == ["Transient"] * 3
    assert night.value(main)["day"] == "mon"


@pytest.mark.parametrize("how", ["live", "crash"])
def test_skip_never_tries_twice(night, killed, night_contract, how):
    """Policy skip: at most once; the job goes on without a result."""
    acts = []
    post, trouble = posting(acts, unknown="skip")
    trouble.append((False, Transient("reset") if how == "live" else killed()))
    main = posts(post, night_contract)
    if how == "crash":
        night.die(main)
    assert night.value(main) is None
    assert acts == [("mon", "hello")]


@pytest.mark.parametrize("how", ["live", "crash"])
@pytest.mark.parametrize("happened", [True, False])
def test_a_probe_asks_the_provider(night, killed, night_contract, how, happened):
    """A probe that finds the act confirms it with its result; one that does not clears it."""
    acts, asked = [], []

    async def probe(day: str, text: str) -> dict[str, str] | None:
        asked.append((day, text))
        return {"day": "found"} if (day, text) in acts else None

    post, trouble = posting(acts, unknown=probe)
    trouble.append((not happened, Transient("reset") if how == "live" else killed()))
    main = posts(post, night_contract)
    if how == "crash":
        night.die(main)
    assert night.value(main)["day"] == ("found" if happened else "mon")
    assert acts == [("mon", "hello")]
    assert asked == [("mon", "hello")]


def test_a_probe_does_not_make_the_tries_endless(night, night_contract):
    """The provider says each time that nothing happened: the policy's attempts still count."""
    tries = []

    @effect(key="k", unknown=lambda: None, retry=QUICK)
    async def act() -> int:
        tries.append(1)
        if len(tries) > 20:
            raise Permanent("endless")
        raise Transient("reset")

    @job
    async def main(contract: night_contract) -> int:
        return await act()

    with pytest.raises(StepFailed, match="reset"):
        night.value(main)
    assert len(tries) == 3


def test_not_done_is_certain(night, night_contract):
    """NotDone fails the effect without doubt: the resume tries it again, nobody is asked."""
    acts = []
    post, trouble = posting(acts)
    trouble.append((True, NotDone("channel is archived")))
    main = posts(post, night_contract)
    with pytest.raises(StepFailed, match="archived"):
        night.value(main)
    assert night.value(main)["day"] == "mon"
    assert acts == [("mon", "hello")]


def test_a_refused_act_may_be_repeated_under_every_policy(night, night_contract):
    """A server that says it did nothing (429) is asked again even where the policy is hold."""
    tries = []

    class TooMany(Exception):
        status_code = 429
        headers = types.MappingProxyType({"retry-after": "0"})

    @effect(key="k", retry=QUICK)
    async def act() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise TooMany("slow down")
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await act()

    assert night.value(main) == 1
    assert len(tries) == 3


def test_a_failed_effect_reads_the_same_on_replay(night, killed, night_contract):
    """The job catches the failure, a crash follows: message and history are the recorded ones."""
    seen, alive = [], []

    @effect(key="k/{n}", unknown="retry", retry=QUICK)
    async def act(n: int) -> int:
        raise ValueError("no such channel")

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job
    async def main(contract: night_contract) -> int:
        try:
            await act(1)
        except StepFailed as failure:
            seen.append((str(failure), failure.type, failure.key, failure.attempts))
        return await after()

    night.die(main)
    alive.append(1)
    assert night.value(main) == 1
    assert seen[0] == seen[1]
    assert seen[0][2] == "k/1"

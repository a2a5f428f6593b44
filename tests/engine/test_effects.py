"""Acts on the world happen once per key, or somebody is asked."""

import asyncio
import json

import pytest
from posting import QUICK, posting, posts

from nightproof import (
    EffectConflict,
    EffectHeld,
    Exhausted,
    RunParked,
    Transient,
    effect,
    idempotency_key,
    job,
    step,
)


def test_an_effect_acts_once_and_is_replayed(night, killed, night_contract):
    """After a crash behind it, its recorded result is returned and nothing is sent again."""
    acts, alive = [], []
    post, _ = posting(acts)

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 1

    @job
    async def main(contract: night_contract) -> dict[str, str]:
        sent = await post("mon", "hello")
        await after()
        return sent

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert acts == [("mon", "hello")]
    assert outcome.value["day"] == "mon"
    assert (outcome.executed, outcome.replayed) == (1, 1)


def test_keys_are_global_across_runs(night, night_contract):
    """Another run with the same key and arguments gets the recorded result, without an act."""
    acts = []
    post, _ = posting(acts)
    main = posts(post, night_contract)
    first = night.value(main, night_contract(n=1))
    second = night.value(main, night_contract(n=2))
    assert first == second
    assert acts == [("mon", "hello")]


def test_the_same_key_with_other_arguments_shows_both(night, night_contract):
    """EffectConflict names key, run and both sets of arguments, and nothing is sent."""
    acts = []
    post, _ = posting(acts)
    night.value(posts(post, night_contract), night_contract(n=1))
    with pytest.raises(EffectConflict) as caught:
        night.value(posts(post, night_contract, text="bye"), night_contract(n=2))
    assert "report/mon" in caught.value.message
    assert '"hello"' in caught.value.message
    assert '"bye"' in caught.value.message
    assert acts == [("mon", "hello")]


def test_concurrent_calls_of_one_key_act_once(night, night_contract):
    """gather over equal calls: one acts, the others wait for it and get its result."""
    acts = []

    @effect(key="k")
    async def act(n: int) -> int:
        acts.append(n)
        await asyncio.sleep(0.01)
        return n

    @job
    async def main(contract: night_contract) -> list[int]:
        return list(await asyncio.gather(*(act(7) for _ in range(3))))

    assert night.value(main) == [7, 7, 7]
    assert acts == [7]


def test_two_live_runs_with_one_key_act_once(night, night_contract):
    """Two runs in two engines reach one key at once: the second waits for the first."""
    acts = []

    @effect(key="k")
    async def act() -> int:
        acts.append(1)
        await asyncio.sleep(0.1)
        return 5

    @job
    async def main(contract: night_contract) -> int:
        return await act()

    async def both():
        apps = [night.app(alive=True), night.app(alive=True)]
        try:
            return await asyncio.gather(
                *(app.run(main, night_contract(n=n)) for n, app in enumerate(apps))
            )
        finally:
            for app in apps:
                await app.close()

    assert [outcome.value for outcome in asyncio.run(both())] == [5, 5]
    assert acts == [1]


def test_a_replicate_withholds_its_effects(night, night_contract):
    """It takes the recorded result, and reports arguments that would have differed."""
    acts, text = [], ["hello"]

    @effect(key="report")
    async def post(text: str) -> str:
        acts.append(text)
        return "sent " + text

    @effect(key="extra")
    async def extra() -> str:
        acts.append("extra")
        return "extra"

    @job
    async def main(contract: night_contract) -> list[str | None]:
        return [await post(text[0]), await extra() if text[0] == "bye" else None]

    night.value(main)
    same = night.run(main, replicate=-1)
    assert (same.value, same.divergences) == (["sent hello", None], [])
    text[0] = "bye"
    other = night.run(main, replicate=-1)
    assert other.name.endswith(".2")
    assert other.value == ["sent hello", None]
    (found,) = other.divergences
    assert '"bye"' in found["now"]
    assert night.notes(other.name, "effect-withheld")[0]["key"] == "extra"
    assert acts == ["hello"]


def test_a_replicate_with_effects_performs_new_keys_only(night, night_contract):
    """--replicate --effects: recorded keys are taken, new ones are performed."""
    acts, days = [], ["mon"]
    post, _ = posting(acts)

    @job
    async def main(contract: night_contract) -> int:
        for day in days:
            await post(day, "hello")
        return len(days)

    night.value(main)
    days.append("tue")
    night.run(main, replicate=-1, effects=True)
    assert acts == [("mon", "hello"), ("tue", "hello")]


def test_an_effect_inside_a_step_goes_through_the_ledger(night, killed, night_contract):
    """The step runs again after a crash, its effect does not."""
    acts, alive = [], []
    post, _ = posting(acts)

    @step
    async def work() -> str:
        sent = await post("mon", "hello")
        if not alive:
            raise killed
        return sent["day"]

    @job
    async def main(contract: night_contract) -> str:
        return await work()

    night.die(main)
    alive.append(1)
    assert night.value(main) == "mon"
    assert acts == [("mon", "hello")]


def test_an_effect_in_a_retried_step_acts_once(night, night_contract):
    """Each try of the step comes by the effect; only the first acts."""
    acts, tries = [], []
    post, _ = posting(acts)

    @step(retry=QUICK)
    async def work() -> int:
        await post("mon", "hello")
        tries.append(1)
        if len(tries) < 3:
            raise Transient("again")
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await work()

    assert night.value(main) == 1
    assert (len(acts), len(tries)) == (1, 3)


def test_plain_effects_and_key_functions(night, night_contract):
    """A plain function acts in a thread, and its key may be a function of its arguments."""
    acts = []

    @effect(key=lambda day: f"k/{day.upper()}")
    def act(day: str, weight: int = 1) -> str:
        acts.append(idempotency_key())
        return day

    @job
    async def main(contract: night_contract) -> str:
        return await act("mon")

    assert night.value(main) == "mon"
    row = night.ask(lambda app: app.journal.effect("k/MON"))
    assert row.state == "confirmed"
    assert json.loads(row.inputs) == ["mon", 1]


def test_an_exhausted_quota_is_waited_for(night, night_contract, fake_clock):
    """An effect that may be retried waits until its quota is there again."""
    from datetime import timedelta

    from nightproof.model import clock

    tries = []

    @effect(key="k", retry=QUICK, unknown="retry")
    async def act() -> int:
        tries.append(fake_clock.at)
        if len(tries) == 1:
            raise Exhausted("daily", resets_at=clock.now() + timedelta(seconds=60))
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await act()

    assert night.value(main) == 1
    assert tries[1] - tries[0] >= 60


def test_a_resolved_effect_makes_the_run_due(night, night_contract):
    """After the decision `resume --all` and `serve` find the run that waits for it."""
    acts = []
    post, trouble = posting(acts)
    trouble.append((True, Transient("reset")))
    main = posts(post, night_contract)
    assert isinstance(night.run(main).error, RunParked)

    async def due(app):
        return [row.name for row in await app.journal.due(2**62)]

    assert night.ask(due) == []
    night.resolve("report/mon", False)
    assert len(night.ask(due)) == 1


def test_a_run_held_by_another_runs_effect_is_due_after_the_decision(night, killed, night_contract):
    """The run that announced the effect died; the one that met its row waits, and is woken."""
    acts = []
    post, trouble = posting(acts)
    trouble.append((False, killed()))
    main = posts(post, night_contract)
    night.die(main, night_contract(n=1))
    held = night.run(main, night_contract(n=2))
    assert isinstance(held.error, EffectHeld)
    night.resolve("report/mon", True, b'{"day":"by hand"}')

    async def due(app):
        return [row.name for row in await app.journal.due(2**62)]

    assert held.name in night.ask(due)


def test_an_effect_inside_a_step_is_not_missed_on_a_resume(night, killed, night_contract):
    """The step is replayed, so nothing asks for its effect; one of the body's own is missed."""

    @effect(key="post/{text}")
    async def post(text: str) -> str:
        return text

    @step
    async def outer() -> str:
        return await post("inside")

    at_first = [True]

    @step
    async def last() -> int:
        if at_first:
            raise killed
        return 1

    @job
    async def main(contract: night_contract) -> int:
        await outer()
        if at_first:
            await post("outside")
        return await last()

    night.die(main)
    at_first.clear()
    (found,) = night.run(main).divergences
    assert found["recorded"] == ["outside"]

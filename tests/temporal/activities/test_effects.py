"""Effects as activities: the ledger is the one of every engine."""

import asyncio

import pytest

from nightproof import Contract, NotDone, Permanent, Retry, effect, idempotency_key, job, step
from nightproof.model.states import EffectState, Kind

acted = []


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


async def probe(text: str) -> str | None:
    """Says that it happened."""
    return "found"


@effect(key="post/{text}")
async def post(text: str) -> str:
    """Posts a text."""
    acted.append(text)
    await asyncio.sleep(0.05)
    return f"posted {text} as {idempotency_key()[:4]}"


@effect(key="hold/{text}", retry=Retry(attempts=1))
async def lost(text: str) -> None:
    """Breaks in the middle."""
    acted.append(text)
    raise ConnectionResetError("gone")


@effect(key="probed/{text}", unknown=probe, retry=Retry(attempts=1))
async def probed(text: str) -> str:
    """Breaks in the middle, and can be asked about."""
    acted.append(text)
    raise ConnectionResetError("gone")


@effect(key="never/{text}", retry=Retry(attempts=2, base=0.001))
async def never(text: str) -> None:
    """Certainly does not happen."""
    acted.append(text)
    raise NotDone("closed on Sundays")


@step
async def inside(n: int) -> str:
    """Acts in the middle of a step."""
    first = await post("from a step")
    if len(acted) < n:
        raise Permanent("once more")
    return first


@step
async def group() -> int:
    """Acts in tasks of its own."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lost("in a group"))
    except Exception:
        acted.append("caught")
    return 1


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return 1


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has happened."""
    acted.clear()


def test_an_effect_happens_once(workers):
    """Also where two workers have its activity at once; who finds it done says so."""

    async def test(one, two):
        await one.begin(main, Night())
        first = await one.call(post, "a")
        two.head = one.head
        again = await two.call(post, "a")
        assert (again["ok"], again["executed"]) == (first["ok"], False)
        # An equal call is another one, with the same key: the ledger answers.
        other = await two.call(post, "a", occurrence=1)
        assert (other["ok"], other["executed"]) == (first["ok"], False)
        assert acted == ["a"]
        assert len(await one.entries(Kind.EFFECT)) == 2

    workers.run(test, count=2)


def test_an_effect_in_other_hands_is_waited_for(workers, until):
    """A second execution of the activity neither acts nor decides while the first is at it."""

    async def test(one, two):
        await one.begin(main, Night())
        two.head = one.head
        first = asyncio.create_task(one.call(post, "a"))
        await until(lambda: bool(acted))
        second = asyncio.create_task(two.call(post, "a"))
        assert (await first)["ok"].startswith('"posted a')
        answer = await second
        assert (answer["ok"], answer["executed"]) == ((await first)["ok"], False)
        assert acted == ["a"]

    workers.run(test, count=2)


def test_a_person_decides(workers):
    """What is held says how; after the decision the activity goes on."""

    async def test(worker):
        await worker.begin(main, Night())
        journal = worker.activities.host.journal
        held = (await worker.call(lost, "x"))["held"]
        assert (held["effect"], held["key"]) == ("lost", "hold/x")
        assert f"nightproof resolve {worker.head['name']} 'hold/x'" in held["reason"]
        assert (await worker.call(lost, "x"))["held"] == held
        assert acted == ["x"]
        await journal.resolve("hold/x", True, b"")
        assert (await worker.call(lost, "x"))["ok"] == ""
        assert (await worker.call(lost, "y"))["held"]
        await journal.resolve("hold/y", False, None)
        assert (await worker.call(lost, "y"))["held"]
        assert acted == ["x", "y", "y"]

    workers.run(test)


def test_a_probe_finds_out(workers):
    """What it finds is the result, and was not executed again."""

    async def test(worker):
        await worker.begin(main, Night())
        answer = await worker.call(probed, "x")
        assert (answer["ok"], answer["executed"]) == ('"found"', False)
        assert acted == ["x"]

    workers.run(test)


def test_what_certainly_did_not_happen_fails(workers):
    """With its history, on record."""

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.call(never, "x")
        assert first["failed"]["type"] == "NotDone"
        assert (await worker.call(never, "x"))["failed"] == first["failed"]
        row = await worker.activities.host.journal.effect("never/x")
        assert row.state is EffectState.CLEAR

    workers.run(test)


def test_other_arguments_for_a_key_are_refused(workers):
    """As a conflict that shows both; nothing is done."""

    async def test(worker):
        await worker.begin(main, Night())
        await worker.call(post, "a")
        other = effect(key="post/a", name="post")(post.fn)
        message = {**worker.ask(post, "b")}
        post.template, before = "post/a", post.template
        try:
            refused = (await worker.perform(worker.activities.call, message))["refused"]
        finally:
            post.template = before
        assert other.name == "post"
        assert refused["type"] == "EffectConflict"
        assert '["a"]' in refused["message"]
        assert '["b"]' in refused["message"]
        assert acted == ["a"]

    workers.run(test)


def test_an_effect_inside_a_step_is_counted_anew_each_time(workers):
    """The step runs again in the same worker: the same entry, not a second one."""

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.call(inside, 2)
        assert first["failed"]["type"] == "Permanent"
        other = await worker.call(inside, 1)
        assert other["ok"].startswith('"posted from a step')
        assert acted == ["from a step"]
        assert len(await worker.entries(Kind.EFFECT)) == 1

    workers.run(test)


def test_what_is_held_inside_a_step_is_not_the_steps_to_catch(workers):
    """The activity ends with it, also from a task of the step's own."""

    async def test(worker):
        await worker.begin(main, Night())
        assert (await worker.call(group))["held"]["key"] == "hold/in a group"
        chunk = await worker.chunk(in_map, ["a", "b"], width=1)
        assert (chunk["held"]["key"], chunk["missing"]) == ("hold/a", [0, 1])
        assert acted == ["in a group", "a"]

    workers.run(test)


@step
async def in_map(text: str) -> None:
    """Acts, and catches what it can."""
    try:
        await lost(text)
    except Exception:
        acted.append("caught")


def test_a_replicate_acts_on_nothing(workers):
    """It has what the first run had, and says where it would have sent something else."""

    async def test(worker):
        await worker.begin(main, Night())
        await worker.call(post, "a")
        options = {"answers": {"post": "an answer"}}
        await worker.begin(main, Night(), replicate=1, workflow="nightproof/it.1", options=options)
        assert (await worker.call(post, "a"))["executed"] is False
        assert (await worker.call(post, "b"))["ok"] == '"an answer"'
        assert acted == ["a"]

    workers.run(test)

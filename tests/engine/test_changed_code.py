"""Runs whose code has changed since: said, refused under strict, never mixed up."""

import pytest

from nightproof import job, step
from nightproof.errors import CodeChanged


def versions(contract):
    """A job and a step of fixed names, with bodies of one's choice."""

    def make(body, job_body=None):
        work = step(name="work")(body)

        if job_body is None:

            @job(name="edited")
            async def main(given: contract) -> int:
                return await work(given.n)
        else:
            main = job(name="edited")(job_body(work))
        return main

    return make


def test_an_edited_step_is_reported_and_strict_refuses(night, killed, night_contract):
    """Matching results are still used, and it is said; --strict starts nothing."""
    make = versions(night_contract)

    async def one(n: int) -> int:
        return n + 1

    async def two(n: int) -> int:
        return n + 2

    def dies(work):
        async def main(given: night_contract) -> int:
            await work(given.n)
            raise killed

        return main

    def goes_on(work):
        async def main(given: night_contract) -> int:
            return await work(given.n)

        return main

    night.die(make(one, dies))
    strict = night.run(make(two, dies), strict=True)
    assert isinstance(strict.error, CodeChanged)
    assert "step 'work'" in strict.error.message
    outcome = night.run(make(two, goes_on))
    assert outcome.value == 1
    assert set(outcome.code_changed) == {"step 'work'", "job 'edited'"}
    assert {note["what"] for note in night.notes(outcome.name, "code-changed")} == {
        "step 'work'",
        "job 'edited'",
    }


def test_a_complete_run_says_when_its_code_has_changed(night, night_contract):
    """The record is returned with the change; --strict refuses and names --replicate."""
    make = versions(night_contract)

    async def body(n: int) -> int:
        return n

    def other(work):
        async def main(given: night_contract) -> int:
            return 2 * await work(given.n)

        return main

    def same(work):
        async def main(given: night_contract) -> int:
            return await work(given.n)

        return main

    night.value(make(body, same), night_contract(n=4))
    outcome = night.run(make(body, other), night_contract(n=4))
    assert (outcome.value, outcome.from_record) == (4, True)
    assert set(outcome.code_changed) == {"job 'edited'"}
    with pytest.raises(CodeChanged, match="--replicate"):
        night.run(make(body, other), night_contract(n=4), strict=True)
    fresh = night.run(make(body, other), night_contract(n=4), replicate=-1)
    assert (fresh.value, fresh.code_changed) == (8, {})


def test_results_never_asked_for_again_are_divergences(night, killed, night_contract):
    """The report names step and argument, with the recorded and the present value."""
    day, alive = ["mon"], []

    @step
    async def fetch(country: str, day: str) -> str:
        return f"{country} {day}"

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> str:
        got = await fetch("JP", day[0])
        await after()
        return got

    night.die(main)
    alive.append(1)
    day[0] = "tue"
    outcome = night.run(main)
    assert outcome.value == "JP tue"
    (found,) = outcome.divergences
    assert found["step"].endswith("fetch")
    assert found["arguments"] == [{"argument": "day", "recorded": "mon", "now": "tue"}]
    assert '\'day\' was "mon" and is now "tue"' in found["message"]
    assert night.notes(outcome.name, "divergence")


def test_a_removed_child_run_is_named(night, killed, night_contract):
    """A recorded child that is not asked for again is a divergence that names it."""
    alive = []

    @job(name="inner")
    async def inner(contract: night_contract) -> int:
        return 1

    @step
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    @job
    async def main(contract: night_contract) -> int:
        if not alive:
            await inner(night_contract(n=1))
        return await after()

    night.die(main)
    alive.append(1)
    (found,) = night.run(main).divergences
    assert "inner" in found["message"]


def test_a_result_that_no_longer_fits_its_annotation_is_made_again(night, killed, night_contract):
    """The annotation was edited between two attempts: the step runs again, and it is said."""
    alive = []

    def make(annotation):
        async def body(n: int):
            return [n] if alive else n

        body.__annotations__["return"] = annotation
        work = step(name="work")(body)

        @job(name="edited")
        async def main(contract: night_contract) -> str:
            got = await work(1)
            if not alive:
                raise killed
            return str(got)

        return main

    night.die(make(int))
    alive.append(1)
    outcome = night.run(make(list[int]))
    assert outcome.value == "[1]"
    assert night.notes(outcome.name, "result-lost")

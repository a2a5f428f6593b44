"""What a run that fails for good had done is undone in reverse."""

from nightproof import effect, job, step


def test_undo_in_reverse(night, night_contract):
    """When the run fails, completed steps are undone, last first, by result or by arguments."""
    undone = []

    @step(undo=undone.append)
    async def book(n: int) -> str:
        return f"booking {n}"

    async def give_back(n: int, result: str) -> None:
        undone.append((n, result))

    @step(undo=give_back)
    async def pay(n: int) -> str:
        return f"payment {n}"

    @step
    async def fail() -> int:
        raise ValueError("sold out")

    @job
    async def main(contract: night_contract) -> int:
        await book(1)
        await pay(2)
        await book.map([3, 4], concurrency=1)
        return await fail()

    outcome = night.run(main)
    assert outcome.status == "failed"
    assert undone == ["booking 4", "booking 3", (2, "payment 2"), "booking 1"]
    assert len(night.notes(outcome.name, "undone")) == 4
    again = night.run(main)
    assert again.executed == 4
    assert len(undone) == 8


def test_undo_goes_on_after_a_crash_in_the_middle(night, killed, night_contract):
    """What was undone is neither done nor undone again; the rest is undone."""
    done, undone, alive = [], [], []

    def give_back(n: int) -> None:
        if n == 2 and not alive:
            raise killed
        undone.append(n)

    @step(undo=give_back)
    async def book(n: int) -> int:
        done.append(n)
        return n

    @step
    async def fail() -> int:
        raise ValueError("sold out")

    @job
    async def main(contract: night_contract) -> int:
        for n in (1, 2, 3):
            await book(n)
        return await fail()

    night.die(main)
    assert undone == [3]
    alive.append(1)
    outcome = night.run(main)
    assert outcome.status == "failed"
    assert (done, undone) == ([1, 2, 3], [3, 2, 1])
    night.run(main)
    assert done == [1, 2, 3, 1, 2, 3]


def test_a_run_whose_undo_had_begun_does_not_complete(night, killed, night_contract):
    """The failure was the body's own and is gone after the crash: the rest is undone all the same."""
    undone, alive = [], []

    def give_back(n: int) -> None:
        if n == 1 and not alive:
            raise killed
        undone.append(n)

    @step(undo=give_back)
    async def book(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> int:
        await book(1)
        await book(2)
        if not alive:
            raise RuntimeError("a passing mood")
        return 1

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.status == "failed"
    assert "undo" in str(outcome.error)
    assert undone == [2, 1]
    assert night.value(main) == 1


def test_an_undo_by_effect_happens_once(night, killed, night_contract):
    """A refund is an effect: a crash right after it does not send it twice."""
    acts, alive = [], []

    @effect(key="refund/{n}")
    async def refund(n: int) -> None:
        acts.append(n)

    async def give_back(n: int) -> None:
        await refund(n)
        if not alive:
            raise killed

    @step(undo=give_back)
    async def pay(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> int:
        await pay(5)
        raise ValueError("no")

    night.die(main)
    alive.append(1)
    assert night.run(main).status == "failed"
    assert acts == [5]


def test_an_undo_that_fails_is_reported_and_the_rest_goes_on(night, night_contract):
    """The run's record names what could not be undone."""
    undone = []

    def give_back(n: int) -> None:
        if n == 2:
            raise ValueError("bank is closed")
        undone.append(n)

    @step(undo=give_back)
    async def pay(n: int) -> int:
        return n

    @job
    async def main(contract: night_contract) -> int:
        for n in (1, 2, 3):
            await pay(n)
        raise ValueError("no")

    outcome = night.run(main)
    assert undone == [3, 1]
    assert b"bank is closed" in night.row(outcome.name).error

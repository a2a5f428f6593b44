"""Steps, effects and expiring values as activities."""

from nightproof import Contract, job, step


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


ran = []


@step
async def add(a: int, b: int) -> int:
    """Adds, and counts how often."""
    ran.append((a, b))
    return a + b


@step
async def double(a: int) -> int:
    """Twice as much."""
    ran.append(a)
    return 2 * a


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return await add(1, 2)


def test_a_run_from_begin_to_end(workers):
    """Steps are on record, a second call reads them, and the run is complete."""
    ran.clear()

    async def test(worker):
        begun = await worker.begin(main, Night())
        assert (begun["before"], begun["index"]) == (None, [])
        first = await worker.call(add, 1, 2)
        assert (first["ok"], first["executed"]) == ("3", True)
        again = await worker.call(add, 1, 2)
        assert (again["ok"], again["executed"]) == ("3", False)
        other = await worker.call(add, 1, 2, occurrence=1)
        assert (other["ok"], other["executed"]) == ("3", True)
        assert ran == [(1, 2)] * 2
        ended = await worker.end(result="3")
        assert (ended["status"], ended["result"]) == ("completed", "3")
        assert await worker.end(result="3") == ended
        row = await worker.activities.host.journal.find(worker.head["name"])
        assert (str(row.status), row.result, row.owner) == ("completed", b"3", None)

    workers.run(test)


def test_some_items_of_a_map(workers):
    """Those on record are read, the others run; all are answered in order."""
    ran.clear()

    async def test(worker):
        await worker.begin(main, Night())
        first = await worker.chunk(double, [1, 2, 3])
        assert (first["values"], first["missing"]) == (["2", "4", "6"], [])
        assert (first["executed"], first["replayed"]) == (3, 0)
        second = await worker.chunk(double, [2, 3, 4])
        assert (second["values"], second["missing"]) == (["4", "6", "8"], [])
        assert (second["executed"], second["replayed"]) == (1, 2)
        assert ran == [1, 2, 3, 4]

    workers.run(test)

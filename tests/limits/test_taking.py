"""Quotas in runs and across processes, on a real store."""

import json
import os
import time

import forked
import pytest

from nightproof import Exhausted, Quota, job, spend, step
from nightproof.errors import MisuseError
from nightproof.journal.quotas import Ask, Claimant
from nightproof.model import clock
from nightproof.stores.sqlite import SqliteJournal

PROGRAM = """
import time
from typing import Literal
from nightproof import Contract, Quota, job, step

shared = Quota("shared", rate="20/1s", shares={"greedy": 0.25})

class Work(Contract):
    task: Literal["work"] = "work"
    n: int

@step(quota=shared)
async def call(i: int) -> None:
    with open("calls.txt", "a") as file:
        file.write(f"{time.time()}\\n")

@job(name="modest")
async def modest(contract: Work) -> None:
    await call.map(range(contract.n), concurrency=8)

@step(quota=shared)
async def retry(i: int) -> None:
    with open("greedy.txt", "a") as file:
        file.write(f"{time.time()}\\n")

@job(name="greedy")
async def greedy(contract: Work) -> None:
    await retry.map(range(contract.n), concurrency=8)
"""


def start(folder, job, n):
    """A process that runs one of the jobs."""
    contract = json.dumps({"contractVersion": "1", "task": "work", "n": n})
    return forked.start(["run", f"jobs.py:{job}", contract, "--json"], folder, os.environ)


def most_within(times, seconds):
    """The largest number of times that lie within so many seconds."""
    return max(sum(at <= other < at + seconds for other in times) for at in times)


def test_two_processes_never_exceed_a_rate_together(tmp_path):
    """Thirty calls of two runs, twenty a second allowed (three quarters of it to these)."""
    (tmp_path / "jobs.py").write_text(PROGRAM, encoding="utf-8")
    children = [start(tmp_path, "modest", n) for n in (15, 16)]
    for child in children:
        out, err = child.communicate(timeout=60)
        assert child.returncode == 0, out + err
    times = [float(line) for line in (tmp_path / "calls.txt").read_text().split()]
    assert len(times) == 31
    assert most_within(times, 1.0) <= 15


def test_a_greedy_job_does_not_starve_another(tmp_path):
    """One with a share of a quarter is held to it, however much it wants."""
    (tmp_path / "jobs.py").write_text(PROGRAM, encoding="utf-8")
    greedy = start(tmp_path, "greedy", 60)
    modest = start(tmp_path, "modest", 15)
    out, err = modest.communicate(timeout=60)
    assert modest.returncode == 0, out + err
    greedy.kill()
    greedy.communicate()
    times = [float(line) for line in (tmp_path / "greedy.txt").read_text().split()]
    assert most_within(times, 1.0) <= 5


def test_a_used_up_quota_parks_every_sharer(night, night_contract):
    """One run is told 'used up until …'; another that shares the quota does not even ask."""
    shared = Quota("shared", rate="100/min")
    calls = []

    @step(quota=shared)
    async def refused() -> int:
        calls.append("refused")
        raise Exhausted("used up", resets_at=clock.from_ms(clock.now_ms() + 3_600_000))

    @step(quota=shared)
    async def innocent() -> int:
        calls.append("innocent")
        return 1

    @job(name="first")
    async def first(contract: night_contract) -> int:
        return await refused()

    @job(name="second")
    async def second(contract: night_contract) -> int:
        return await innocent()

    assert night.run(first).status == "parked"
    parked = night.run(second)
    assert parked.status == "parked"
    assert "quota 'shared'" in str(parked.error)
    assert calls == ["refused"]


def test_a_map_that_waits_says_so_once(night, night_contract):
    """Not once for each item, and not again for each that is let through."""
    slow = Quota("slow", rate="4/1s")

    @step(quota=slow)
    async def call(i: int) -> int:
        return i

    @job(name="many")
    async def main(contract: night_contract) -> list[int]:
        return await call.map(range(12), concurrency=8)

    outcome = night.run(main)
    assert outcome.value == list(range(12))
    told = [
        entry
        for entry in night.entries(outcome.name)
        if b"waits for quota" in (entry.output or b"")
    ]
    assert len(told) == 1


def test_the_server_is_believed_where_it_says_nothing(night, night_contract):
    """No reset is known: the quota is parked for its own window, and the step succeeds then."""
    shared = Quota("shared", rate="100/1s")
    tries = []

    @step(quota=shared)
    async def call() -> int:
        tries.append(time.monotonic())
        if len(tries) == 1:
            raise Exhausted("used up")
        return 1

    @job(name="patient")
    async def main(contract: night_contract) -> int:
        return await call()

    assert night.run(main).value == 1
    assert tries[1] - tries[0] >= 0.9


def test_tokens_and_money_stop_who_comes_next_and_replays_cost_nothing(night, night_contract):
    """A budget is used up by what steps say; the recorded ones are not counted again."""
    budget = Quota("budget", tokens="100/day", money="5/day")
    alive = []

    @step(quota=budget)
    def ask(i: int) -> int:
        spend(tokens=40, money=0.5)
        return i

    @job(name="spender")
    async def main(contract: night_contract) -> list[int]:
        return [await ask(i) for i in range(contract.n + 2)]

    assert night.run(main, night_contract(n=0)).value == [0, 1]
    assert night.run(main, night_contract(n=0)).from_record
    used = {(use.what): use.n for [quota] in [night.ask(read)] for use in quota.uses}
    assert used == {"tokens": 80, "money": 1.0}
    stopped = night.run(main, night_contract(n=3))
    assert stopped.status == "parked"
    assert "tokens" in str(stopped.error)
    assert not alive


async def read(app):
    """The quotas of the store."""
    return await app.journal.quotas(clock.now_ms())


def test_a_share_that_is_less_than_one_request_is_refused(night, night_contract):
    """It would wait for ever."""
    tiny = Quota("tiny", rate="2/min", shares={"small": 0.1})

    @step(quota=tiny)
    async def call() -> int:
        return 1

    @job(name="small")
    async def main(contract: night_contract) -> int:
        return await call()

    outcome = night.run(main)
    assert "less than one request" in str(outcome.error)


@pytest.mark.parametrize("amount", [-1, float("nan"), True, "5"])
def test_spend_refuses_what_is_no_amount(amount):
    """With what was expected."""
    with pytest.raises(MisuseError, match="number"):
        spend(tokens=amount)


@pytest.fixture
def journal(tmp_path):
    """A journal in a file."""
    found = SqliteJournal(str(tmp_path / "journal.db"), "x")
    yield found
    import asyncio

    asyncio.run(found.close())


def ask(now, cap=10, seconds=60):
    """What a rate asks for."""
    until = now + seconds * 1000
    return Ask("requests", cap, until, until + 1000, True)


def test_what_lapses_is_free_again_and_a_clock_set_back_holds_nobody_up(journal):
    """Uses count for a window; those from a future that was wrong do not count."""
    import asyncio

    who = Claimant("", "run-1")

    async def scene():
        now = 1_000_000_000
        assert (await journal.take("q", "{}", who, [ask(now)], 10, now)).n == 10
        refused = await journal.take("q", "{}", who, [ask(now + 1)], 1, now + 1)
        assert (refused.n, refused.until) == (0, now + 60_000)
        [row] = await journal.quotas(now + 2)
        assert [wait.run for wait in row.waits] == ["run-1"]
        later = now + 60_001
        assert (await journal.take("q", "{}", who, [ask(later)], 4, later)).n == 4
        assert (await journal.take("q", "{}", who, [ask(later)], 9, later)).n == 6
        # A day earlier: nothing of that has happened yet.
        back = now - 86_400_000
        assert (await journal.take("q", "{}", who, [ask(back)], 10, back)).n == 10

    asyncio.run(scene())


def test_parking_is_for_the_longest_that_anybody_was_told(journal):
    """A shorter wait does not shorten it; nobody gets anything before."""
    import asyncio

    async def scene():
        now = 1_000_000_000
        assert await journal.park_quota("q", "{}", now + 5000, "told", now) == now + 5000
        assert await journal.park_quota("q", "{}", now + 2000, "told", now) == now + 5000
        refused = await journal.take("q", "{}", Claimant("", "r"), [ask(now)], 1, now + 4999)
        assert (refused.until, refused.reason) == (now + 5000, "told")
        assert (await journal.take("q", "{}", Claimant("", "r"), [ask(now)], 1, now + 5000)).n

    asyncio.run(scene())


def test_the_command_shows_who_waits_for_what(tmp_path):
    """Used, parked, waiting; as a table and as JSON."""
    (tmp_path / "jobs.py").write_text(PROGRAM, encoding="utf-8")
    start(tmp_path, "modest", 3).communicate(timeout=30)
    shown = forked.run(["quotas"], tmp_path, os.environ)
    assert shown.returncode == 0, shown.stderr
    assert "shared" in shown.stdout
    told = forked.run(["quotas", "--json"], tmp_path, os.environ)
    [quota] = json.loads(told.stdout)["quotas"]
    assert {use["sharer"]: use["cap"] for use in quota["uses"]} == {"": 15, "greedy": 5}

"""Real processes: one owner, kill -9, fencing, clocks, forks."""

import asyncio
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from nightproof import job, step
from nightproof.errors import AlreadyRunning, Forked, LeaseLost
from nightproof.journal.lease import Possession, possession
from nightproof.model import clock
from nightproof.model.identity import ProcessIdentity, here

MAP = """
WIDTH = int(ARGS[0]) if ARGS else 8

@step
async def work(name: str) -> str:
    log(f"done {name}")
    await asyncio.sleep(0.002)
    return f"result of {name}"

@effect(key="post/{name}", unknown="retry")
async def post(name: str) -> str:
    log(f"acted {idempotency_key()} {name}")
    return name

@job
async def main(contract: Night) -> int:
    # Another order, and items in front, in every attempt.
    names = sorted((f"item {n}" for n in range(60)), key=lambda _: os.urandom(2))
    got = await work.map([f"new {os.getpid()}", *names], concurrency=WIDTH)
    assert got[1:] == [f"result of {name}" for name in names]
    return len([await post(name) for name in ("a", "b")])
"""


def wait_for(log, text, seconds=20):
    """Until a program has logged a line that begins with `text`."""
    until = time.monotonic() + seconds
    while not any(line.startswith(text) for line in log()):
        assert time.monotonic() < until, f"no '{text}' in {log()}"
        time.sleep(0.005)


def test_killed_at_random_moments(program, log):
    """kill -9 while items finish: what was acknowledged is not repeated, nothing shifts."""
    run = program(MAP)
    for count in (5, 20, 45):
        process = run.start("4")
        while len(log()) < count:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
        process.communicate()
    code, out = run.run("8")
    assert (code, out.startswith("result 2")) == (0, True), out
    done = Counter(line for line in log() if line.startswith("done item"))
    assert len(done) == 60
    # Only what was in flight when a process died may have run twice.
    assert sum(done.values()) <= 60 + 3 * 8
    keys = {line.split()[1] for line in log() if line.startswith("acted")}
    assert len(keys) == 2


def test_one_of_many_processes_works(program, log):
    """Six crons at once: one owns the run, the others say so and leave with 0."""
    run = program(MAP)
    processes = [run.start("2") for _ in range(6)]
    ended = [(process.communicate(timeout=60), process.returncode) for process in processes]
    outs = [out + err for (out, err), _ in ended]
    assert {code for _, code in ended} == {0}, outs
    assert all(out.startswith(("result", "AlreadyRunning run main-")) for out in outs), outs
    assert any(out.startswith("result 2 63 0") for out in outs), outs
    done = Counter(line for line in log() if line.startswith("done item"))
    assert set(done.values()) == {1}
    assert sum(line.startswith("acted") for line in log()) == 2


STOPPED = """
SETTINGS = {"lease": 0.6}

@step
async def work(n: int) -> int:
    log(f"begun {n} by {ARGS[0]}")
    await asyncio.sleep(0.3)
    log(f"done {n} by {ARGS[0]}")
    return n

@effect(key="post", unknown="skip")
async def post() -> str:
    log(f"acted by {ARGS[0]}")
    return ARGS[0]

@job
async def main(contract: Night) -> str:
    await work(1)
    await work(2)
    return await post() or "skipped"
"""


def test_a_stopped_owner_is_fenced_off(program, log):
    """SIGSTOP: after its lease another process takes over; when it goes on, it is refused."""
    run = program(STOPPED)
    first = run.start("first")
    wait_for(log, "begun 2")
    first.send_signal(signal.SIGSTOP)
    time.sleep(0.7)
    code, out = run.run("second")
    assert (code, "result second") == (0, out.strip()[:13]), out
    first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=30)
    assert first.returncode == 1, (out, err)
    assert "LeaseLost" in out
    assert [line for line in log() if line.startswith("acted")] == ["acted by second"]


def test_a_dead_owner_is_replaced_at_once(program, log):
    """Its pid is gone: nobody waits for the lease (30 seconds here) to run out."""
    run = program(STOPPED.replace("0.6", "3600"))
    first = run.start("first")
    wait_for(log, "begun 2")
    first.kill()
    first.communicate()
    code, out = run.run("second")
    assert (code, out.strip()) == (0, "result second 2 1")


def test_a_live_owner_is_left_alone(night, night_contract):
    """AlreadyRunning names the process and what to do."""
    entered = asyncio.Event

    async def main():
        begun, gate = entered(), entered()

        @job(name="held")
        async def held(contract: night_contract) -> int:
            begun.set()
            await gate.wait()
            return 1

        one, other = night.app(alive=True), night.app(alive=True)
        try:
            running = asyncio.create_task(one.run(held, night_contract()))
            await begun.wait()
            with pytest.raises(AlreadyRunning) as caught:
                await other.run(held, night_contract())
            assert str(os.getpid()) in caught.value.message
            assert "watch" in caught.value.hint
            gate.set()
            assert (await running).value == 1
            assert (await other.run(held, night_contract())).from_record
        finally:
            await one.close()
            await other.close()

    asyncio.run(main())


def test_the_same_run_twice_in_one_loop_is_refused(night, night_contract):
    """gather over two runs of one contract: one works."""

    @job(name="twice")
    async def twice(contract: night_contract) -> int:
        await asyncio.sleep(0.05)
        return 1

    async def main():
        app = night.app(alive=True)
        try:
            return await asyncio.gather(
                app.run(twice, night_contract()),
                app.run(twice, night_contract()),
                return_exceptions=True,
            )
        finally:
            await app.close()

    first, second = asyncio.run(main())
    assert first.value == 1
    assert isinstance(second, AlreadyRunning)


def test_an_attempt_that_was_fenced_off_writes_nothing(night, night_contract):
    """Another attempt took the run over: the old one's results and effects are refused."""
    calls = []

    @step
    async def work(n: int) -> int:
        calls.append(n)
        if n == 1 and len(calls) == 1:
            other = night.app()
            try:
                assert (await other.run(main, night_contract())).value == 3
            finally:
                await other.close()
        return n

    @job(name="fenced")
    async def main(contract: night_contract) -> int:
        return await work(1) + await work(2)

    outcome = night.run(main)
    assert isinstance(outcome.error, LeaseLost)
    assert calls == [1, 1, 2]
    row = night.row(outcome.name)
    assert (row.status, row.attempts) == ("completed", 2)
    assert len(night.entries(outcome.name, 1)) == 2


class Shifted(clock.System):
    """The wall clock, set wrong by so many seconds."""

    shift = 0.0

    def wall(self) -> float:
        return datetime.now(UTC).timestamp() + self.shift


@pytest.mark.parametrize("shift", [-3600, 3600], ids=["an hour back", "an hour ahead"])
def test_a_wrong_clock_does_not_make_two_owners(night, night_contract, shift):
    """The owner beats: whatever the wall clock of the other says, the run stays its own."""
    calls = []

    @job(name="watched")
    async def watched(contract: night_contract) -> int:
        calls.append(1)
        await asyncio.sleep(1.0)
        return 1

    source = Shifted()

    async def main():
        one, other = night.app(alive=True, lease=0.6), night.app(alive=True, lease=0.6)
        try:
            running = asyncio.create_task(one.run(watched, night_contract()))
            await asyncio.sleep(0.2)
            # The owner's heartbeat stands still until it has seen the new time.
            source.shift = shift
            with pytest.raises(AlreadyRunning):
                await other.run(watched, night_contract())
            assert (await running).value == 1
        finally:
            await one.close()
            await other.close()

    with clock.use(source):
        asyncio.run(main())
    assert calls == [1]


def test_what_is_known_of_an_owner(night, night_contract):
    """Dead only by its pid, or by missing beats; never by a wall clock alone."""

    @job(name="row")
    async def main(contract: night_contract) -> int:
        return 1

    row = night.row(night.run(main).name)
    now, lease = 1_000_000_000_000, 30_000

    def known(owner, until):
        return possession(row._replace(owner=owner, lease_until=until), now, lease)

    me = here()
    elsewhere = ProcessIdentity("another/boot/ns", 1, 1)
    assert known(None, 0) is Possession.NOBODY
    assert known(ProcessIdentity(me.host, 2**22 + 5, 1), now + 10) is Possession.DEAD
    assert known(ProcessIdentity(me.host, me.pid, me.started + 1), now + 10) is Possession.DEAD
    assert known(me, now + 10_000) is Possession.LIVE
    assert known(me, now - 1) is Possession.DOUBTFUL
    assert known(me, now + 3_600_000) is Possession.DOUBTFUL
    assert known(elsewhere, now + 10_000) is Possession.LIVE
    assert known(elsewhere, now - 1) is Possession.DOUBTFUL


def test_a_lease_elsewhere_is_taken_over_when_it_stops_beating(night, killed, night_contract):
    """Another machine died: its beats are missed for one lease, then the run goes on."""
    alive = []

    @step
    async def work() -> int:
        if not alive:
            raise killed
        return 5

    @job(name="moved")
    async def main(contract: night_contract) -> int:
        return await work()

    async def first():
        from nightproof.journal.records import Owner

        app = night.app(lease=0.3)
        app.engine._owner = Owner(ProcessIdentity("another/boot/ns", 1, 1), 0, 300)
        try:
            await app.run(main, night_contract())
        finally:
            await app.close()

    with pytest.raises(killed):
        asyncio.run(first())
    alive.append(1)
    with pytest.raises(AlreadyRunning):
        night.value(main, lease=60)
    time.sleep(0.4)
    assert night.value(main, lease=0.3) == 5


FORK = """
import multiprocessing

def child(queue):
    queue.put(os.getpid())

@step
def forks(n: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(app.journal.find("main"))
            log("read")
        except NightproofError as error:
            log(f"child {type(error).__name__}")
        try:
            app.journal.commit([])
            log("wrote")
        except NightproofError as error:
            log(f"child {type(error).__name__}")
        gc.collect()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    return n

@step
async def multiprocesses(n: int) -> int:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get() == process.pid
    process.join()
    assert process.exitcode == 0
    return n

@job
async def main(contract: Night) -> int:
    return sum(await forks.map(range(4), concurrency=1)) + await multiprocesses(1)
"""


def test_a_fork_in_user_code_does_no_harm(program, log):
    """os.fork and multiprocessing inside steps; the journal refuses to be used in the child."""
    text = FORK.replace("app.journal", "_current()")
    text = (
        "import gc\n"
        "def _current():\n"
        "    kinds = ('SqliteJournal', 'PostgresJournal')\n"
        "    return next(x for x in gc.get_objects() if type(x).__name__ in kinds)\n" + text
    )
    run = program(text)
    code, out = run.run()
    assert (code, out.strip()) == (0, "result 7 5 0"), out
    assert log() == ["child Forked"] * 8
    code, out = run.run()
    assert out.strip() == "result 7 0 5"


def test_forked_is_explained():
    """The error says which start method to use."""
    import tempfile

    from nightproof.stores.sqlite import SqliteJournal

    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(f"{folder}/j.db", "x")
        journal._db._pid += 1
        with pytest.raises(Forked, match="spawn"):
            asyncio.run(journal.find("x"))
        journal._db._pid -= 1
        asyncio.run(journal.close())


def test_a_terminated_process_leaves_the_run_resumable(program, log):
    """SIGTERM without a handler of the command: nothing acknowledged is lost."""
    run = program(STOPPED)
    first = run.start("first")
    wait_for(log, "begun 2")
    first.terminate()
    first.communicate()
    code, out = run.run("second")
    assert (code, out.strip()) == (0, "result second 2 1")

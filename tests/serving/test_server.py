"""What a server starts and when, with a clock that tests set and children that do nothing."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from nightproof.app import App
from nightproof.errors import TargetError
from nightproof.journal.schedules import FireRow
from nightproof.model import clock
from nightproof.model.timetable import Timetable
from nightproof.serving.children import Ended, How
from nightproof.serving.patience import Patience
from nightproof.serving.plan import Planned, planned
from nightproof.serving.server import Server
from nightproof.testing.fake import FakeClock
from nightproof.web.health import health

TABLE = Timetable("Asia/Tokyo", "04:30")
PLAN = Planned("main/tonight", "main", "jobs.py:main", TABLE, "catch up", 3)
START = datetime(2026, 10, 15, 19, 0, tzinfo=UTC)  # 04:00 in Tokyo
HALF_HOUR, DAY = 1800, 86_400


class Children:
    """Remembers what is started; tests end it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.started: list[list[str]] = []
        self.running: list[str] = []
        self.changed = asyncio.Event()

    def __contains__(self, key: str) -> bool:
        return key in self.running

    def __len__(self) -> int:
        return len(self.running)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.running))

    def start(self, key: str, label: str, words: list[str], how: How) -> None:
        assert key not in self.running
        self.running.append(key)
        self.started.append(words)

    def fires(self) -> list[str]:
        """The times that were started."""
        return [words[3] for words in self.started if words[0] == "schedule"]

    def end(self, key: str, code: int = 0, status: str = "completed") -> None:
        self.running.remove(key)
        label = key.removeprefix("resume ") if key.startswith("resume") else key.split()[0]
        self.server._ended(Ended(key, label, code, {"status": status}, 1.0))


class Source:
    """Schedules that tests change."""

    def __init__(self, *plans: Planned) -> None:
        self.plans = list(plans)
        self.fresh = False
        self.error: Exception | None = None

    def changed(self) -> bool:
        fresh, self.fresh = self.fresh, False
        return fresh

    async def read(self) -> list[Planned]:
        if self.error:
            raise self.error
        return self.plans


@pytest.fixture
def serving(night):
    """Run a test's coroutine with a server at 04:00 in Tokyo, and its clock."""

    def run(act, *plans: Planned, start: datetime = START, **more) -> None:
        time = FakeClock(start)

        async def main(app: App) -> None:
            said: list[str] = []
            source = Source(*(plans or (PLAN,)))
            late = timedelta(hours=1)
            server = Server(app.journal, source, said.append, 30_000, late, **more)
            server.children = Children(server)
            server.said = said
            await server.load()
            await act(server, time)

        with clock.use(time):
            night.ask(main)

    return run


async def ran(server: Server, plan: Planned, *fires: datetime) -> None:
    """Let nights have run: their contract was collected, which is what is left of them."""
    for fire in fires:
        at = int(fire.timestamp() * 1000)
        await server.journal.fire(FireRow(plan.name, at, f"main-{at}", None))


def test_a_night_starts_when_it_is_due(serving):
    """Not before; once; with the target and the time."""

    async def act(server, time):
        await server.round()
        assert server.children.started == []
        time.advance(HALF_HOUR - 1)
        await server.round()
        assert server.children.started == []
        time.advance(1)
        for _ in range(3):
            await server.round()
        fire = "2026-10-16T04:30:00+09:00"
        assert server.children.started == [
            ["schedule", "fire", "jobs.py:main", fire, "--name", "main/tonight", "--json"]
        ]
        assert f"main/tonight: starting {fire}" in server.said

    serving(act)


def test_a_schedule_that_was_first_served_by_a_wrong_clock_says_so(serving):
    """It starts nothing, since nothing was missed before then: that is no silence."""
    real = START + timedelta(seconds=HALF_HOUR)

    async def act(server, time):
        time.set(real)
        for _ in range(2):
            await server.round()
        assert server.children.started == []
        [told] = [line for line in server.said if "ahead of this machine's clock" in line]
        assert "main/tonight was first served at 2026-11-15 19:00 UTC" in told
        assert "schedule" in server.problems
        time.set(START + timedelta(days=31, seconds=HALF_HOUR))
        await server.round()
        assert len(server.children.started) == 1
        assert "schedule" not in server.problems

    serving(act, start=START + timedelta(days=31))


def test_a_night_that_has_run_is_not_started(serving):
    """By another server, or by hand: the store says so."""

    async def act(server, time):
        time.advance(HALF_HOUR)
        await ran(server, PLAN, clock.now())
        await server.round()
        assert server.children.started == []

    serving(act)


def test_missed_nights_follow_each_other(serving):
    """Five days asleep: the newest three, oldest first, one at a time; the new night at once."""

    async def act(server, time):
        time.advance(HALF_HOUR + 4 * DAY + 7200)
        await server.round()
        await server.round()
        assert server.children.fires() == ["2026-10-18T04:30:00+09:00"]
        server.children.end("main/tonight 2026-10-18T04:30:00+09:00")
        await ran(server, PLAN, datetime(2026, 10, 17, 19, 30, tzinfo=UTC))
        await server.round()
        assert server.children.fires()[1:] == ["2026-10-19T04:30:00+09:00"]
        time.advance(DAY - 7200)  # the next one is due while that one still runs
        await server.round()
        assert server.children.fires()[2:] == ["2026-10-21T04:30:00+09:00"]

    serving(act)


def test_missed_nights_share_their_places(serving):
    """Of five schedules with a missed night only two run at once; what is due runs all the same."""
    plans = [PLAN._replace(name=f"job{n}/tonight", job=f"job{n}") for n in range(5)]

    async def act(server, time):
        time.advance(HALF_HOUR + 7200)
        await server.round()
        assert len(server.children) == 2
        server.children.end("job0/tonight 2026-10-16T04:30:00+09:00", 75, "parked")
        await ran(server, plans[0], datetime(2026, 10, 15, 19, 30, tzinfo=UTC))
        await server.round()
        assert len(server.children) == 2
        time.advance(DAY - 7200)
        await server.round()
        assert sum("10-17T" in fire for fire in server.children.fires()) == 5

    serving(act, *plans, parallel=2)


@pytest.mark.parametrize(
    ("at", "begin", "fires"),
    [
        (
            "02:30",
            datetime(2026, 3, 7, 8, tzinfo=UTC),
            ["07T02:30:00-08", "08T03:00:00-07", "09T02:30:00-07"],
        ),
        (
            "01:30",
            datetime(2026, 10, 31, 7, tzinfo=UTC),
            ["31T01:30:00-07", "01T01:30:00-07", "02T01:30:00-08"],
        ),
    ],
)
def test_every_night_once_while_the_clocks_change(serving, at, begin, fires):
    """Three nights in Los Angeles, looked at every ten minutes."""
    plan = PLAN._replace(times=Timetable("America/Los_Angeles", at))

    async def act(server, time):
        for _ in range(3 * 24 * 6):
            await server.round()
            for key in server.children:
                await ran(server, plan, datetime.fromisoformat(key.split()[1]))
                server.children.end(key)
            time.advance(600)
        assert [fire[8:22] for fire in server.children.fires()] == fires

    serving(act, plan, start=begin)


def test_skipping(serving):
    """`skip`: within the hour it is only late, after it the night is over."""
    plan = PLAN._replace(missed="skip")

    async def act(server, time):
        time.advance(HALF_HOUR + 3 * DAY + 3601)
        await server.round()
        assert server.children.fires() == []
        time.advance(DAY - 3601 + 3599)
        await server.round()
        assert server.children.fires() == ["2026-10-20T04:30:00+09:00"]

    serving(act, plan)


def test_what_cannot_start_is_tried_less_and_less_often(serving):
    """A contract that cannot be made: after 5 seconds, 10, 20 …, and after an hour at most."""

    async def act(server, time):
        time.advance(HALF_HOUR)
        starts = []
        for _ in range(600):
            await server.round()
            for key in server.children:
                starts.append(clock.monotonic())
                server.children.end(key, 2, "failed")
            time.advance(1)
        gaps = [round(b - a) for a, b in pairwise(starts)]
        assert gaps == [5, 10, 20, 40, 80, 160]
        assert server.fired == {("main/tonight", "failed"): 7}

    serving(act)
    with clock.use(FakeClock(START)) as _:
        patience = Patience()
        for _ in range(20):
            patience.ended("key", False)
        assert patience._waits["key"][1] == 3600


def test_a_changed_schedule_does_not_miss_the_past(serving):
    """Another time of night counts from when it was first served; the old one is dropped."""

    async def act(server, time):
        time.advance(HALF_HOUR - 60 + 2 * DAY)
        source = server.source
        source.plans = [PLAN._replace(times=Timetable("Asia/Tokyo", "03:00"))]
        source.fresh = True
        await server.round()
        assert server.children.started == []
        assert "main/tonight: 03:00 Asia/Tokyo" in server.said
        source.plans, source.fresh = [], True
        await server.round()
        assert "main/tonight: no longer scheduled" in server.said

    serving(act)


def test_targets_that_break_keep_the_old_schedule(serving):
    """The problem is said once and shown; the night starts as before."""

    async def act(server, time):
        server.source.error = TargetError("jobs.py cannot be imported")
        server.source.fresh = True
        await server.round()
        server.source.fresh = True
        await server.round()
        assert server.said.count("targets: jobs.py cannot be imported") == 1
        assert health(server)[1]["problems"] == {"targets": "jobs.py cannot be imported"}
        time.advance(HALF_HOUR)
        await server.round()
        assert len(server.children.started) == 1

    serving(act)


def test_health(serving):
    """Ill before the first round, when rounds stop, when the store fails, and while it drains."""

    async def act(server, time):
        assert health(server)[0] == 503
        await server.round()
        assert health(server)[0] == 200
        time.advance(120)
        assert health(server)[0] == 503
        await server.round()

        async def broken(*_):
            raise RuntimeError("no disk")

        server._recover = broken
        await server.round()
        status, document = health(server)
        assert (status, document["problems"]) == (503, {"recovery": "RuntimeError('no disk')"})
        del server._recover
        await server.round()
        assert health(server)[0] == 200
        server.stop()
        assert health(server)[1]["status"] == "draining"

    serving(act)


def test_a_watcher_that_hangs_holds_up_no_night(serving):
    """It looks beside the rounds, never twice at once; what it raises is a problem."""
    looks = []
    go_on = asyncio.Event()

    async def watcher(journal):
        looks.append(journal)
        await go_on.wait()
        raise RuntimeError("no channel")

    async def act(server, time):
        for _ in range(4):
            time.advance(HALF_HOUR)
            await server.round()
            await clock.turn()
        assert (len(looks), len(server.children.started)) == (1, 1)
        go_on.set()
        await server.rest()
        assert server.problems == {"watcher": "RuntimeError: no channel"}
        assert health(server)[0] == 200

    serving(act, watcher=watcher)


def test_a_plan_survives_json():
    """A server reads in a child's document what the child declared."""
    cron = Planned("a/b", "a", "x.py:a", Timetable("UTC", cron="0 6 * * 1"), "skip", 2)
    assert [planned(one.document()) for one in (PLAN, cron)] == [PLAN, cron]

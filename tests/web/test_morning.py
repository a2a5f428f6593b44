"""The home page as somebody finds it in the morning: which jobs are meant, and of which store."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightproof import app, config
from nightproof.journal.records import Finish, LaneBatch, Owner, RunRow, Wanted, event
from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.model import clock, identity
from nightproof.model.states import RunStatus
from nightproof.web.dashboard import Dashboard
from nightproof.web.rendering import environment
from nightproof.web.site import store_name

DAY_MS = 86_400_000


class Past(clock.System):
    """The clock, set to some moment."""

    at = 0.0

    def wall(self) -> float:  # type: ignore[override]
        return self.at


class Nights:
    """Writes nights that were due at 03:00 UTC, the last one today."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.today = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0)
        if self.today > datetime.now(UTC) - timedelta(hours=2):
            self.today -= timedelta(days=1)

    def write(self, job: str, rows: Sequence[float | None], error: str = "") -> None:
        """A night for each value, the newest last; None: nothing ran. `error` is the last one's."""
        asyncio.run(self._write(job, rows, error))

    async def _write(self, job: str, rows: Sequence[float | None], error: str) -> None:
        past = Past()
        journal = app.open_journal(self.house.settings())
        spec = json.dumps({"tz": "UTC", "at": "03:00", "missed": "run", "catchUp": 7})
        first = int(self.today.timestamp() * 1000) - len(rows) * DAY_MS
        target = f"jobs.py:{job}"
        kept = ScheduleRow(f"{job}/tonight", job, target, spec, first, clock.now_ms())
        await journal.keep_schedule(kept)
        with clock.use(past):
            for number, value in enumerate(rows):
                if value is None:
                    continue
                due = self.today - timedelta(days=len(rows) - 1 - number)
                past.at = due.timestamp()
                contract = json.dumps({"night": str(due)}).encode()
                want = Wanted(job, f"sha256:{job}{number}", contract, target=target)
                owner = Owner(identity.here(), 0, 60_000)
                run: RunRow = (await journal.claim(want, owner)).run
                at = int(past.at * 1000)
                await journal.fire(FireRow(f"{job}/tonight", at, run.name, contract, True))
                told = json.dumps({"kind": "measure", "name": "rows", "value": value}).encode()
                last = number == len(rows) - 1
                failed = json.dumps({"type": "StepFailed", "message": error}).encode()
                end = Finish(RunStatus.COMPLETED, at + 60_000, "completed", b"1")
                if error and last:
                    end = Finish(RunStatus.FAILED, at + 60_000, "failed", error=failed)
                done = journal.commit(
                    [LaneBatch(run.id, run.token, [event(run.id, 0, at, told)], (end,))]
                )
                if not isinstance(done, frozenset):
                    await done
        await journal.close()


@pytest.fixture
def nights(tmp_path: Path, house: Any) -> Nights:
    """A store of its own, with nothing in it yet."""
    return Nights(type(house)(tmp_path, {}))


def tiles(page: str) -> list[str]:
    """What the three answers at the top say."""
    found = re.findall(r'<li class="tile.*?</li>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", one).split()) for one in found]


def test_what_is_unusual_is_named(nights: Nights, serving: Any):
    """The answer does not only count: it says which job is meant, and leads to it."""
    nights.write("steady", [900 + n for n in range(9)])
    nights.write("price_watch", [*(900 + n for n in range(8)), 200])
    page = serving(nights.house).get("/").text
    ran, usual, needs = tiles(page)
    assert "All 2 jobs ran" in ran
    assert "1 unusual" in usual
    assert "price_ watch" in usual, "the name may be broken behind its underscore"
    assert "steady" not in usual
    assert '<a href="/jobs/price_watch">price_<wbr>watch</a>' in page
    assert "Nothing" in needs


def test_a_last_run_says_that_a_night_was_missed_since(nights: Nights, serving: Any):
    """A green row of the day before last must not pass for last night."""
    nights.write("steady", [900, 901, 902])
    nights.write("gone", [900, 901, None])
    page = serving(nights.house).get("/").text
    rows = dict(re.findall(r'<tr class="is-completed">.*?/jobs/(\w+)"(.*?)</tr>', page, re.DOTALL))
    assert "missed since" in rows["gone"]
    assert "missed since" not in rows["steady"]


def test_what_failed_is_told_once(nights: Nights, serving: Any):
    """The reason is there, without the name of the error that wraps it; the link says of what."""
    nights.write("steady", [900, 901], "step 'fetch' failed: ConnectionError: 503")
    page = serving(nights.house).get("/").text
    assert "StepFailed" not in page
    assert "step &#39;fetch&#39; failed: ConnectionError: 503" in page
    assert re.search(r'>Resume<span class="vh"> steady-[0-9a-f]{10}</span></a>', page)


def test_pages_say_which_store_they_show(nights: Nights, serving: Any):
    """Whoever started it in another folder sees why nothing is there; no password is shown."""
    asyncio.run(app.open_journal(nights.house.settings()).close())
    running = serving(nights.house)
    file = str(nights.house.folder / ".nightproof" / "journal.db")
    for path in ("/", "/runs"):
        page = running.get(path).text
        assert f"Nothing has run yet in this store: {file}." in page
        assert f'Store: <span class="mono">{file}</span>' in page
    assert file not in running.get("/static/app.css").text


def test_the_store_is_not_told_before_the_login(nights: Nights):
    """Where people have to sign in, its place is not for everybody."""
    asyncio.run(app.open_journal(nights.house.settings()).close())
    made = Dashboard(nights.house.settings(), print, token="a" * 20)
    try:
        answer = httpx2.get(f"http://127.0.0.1:{made.start('127.0.0.1', 0)}/login")
    finally:
        made.stop()
    assert answer.status_code == 200
    assert "Sign in" in answer.text
    assert "journal.db" not in answer.text


def test_a_password_in_the_address_of_a_store_is_not_shown():
    """A server's address is shown without it."""
    store = "postgresql://night:geheim@db.internal/nights"
    assert store_name(config.Settings(store=store)) == "postgresql://night:***@db.internal/nights"


def test_a_name_is_broken_behind_underscores_and_stays_text():
    """What is put between its parts is markup, its own signs are not."""
    found = environment().from_string('{% import "macros.html" as m %}{{ m.name("a_<b>&_c") }}')
    assert found.render(request=None).strip() == "a_<wbr>&lt;b&gt;&amp;_<wbr>c"


def test_many_schedules_are_told_in_a_line_each(nights: Nights, serving: Any):
    """What is wrong is open, the rest can be opened; few are open all of them."""
    for n in range(3):
        nights.write(f"steady_{n}", [900, 901])
    running = serving(nights.house)
    page = running.get("/schedule").text
    assert len(re.findall(r'<details class="plan" id="s\d" open>', page)) == 3
    nights.write("gone", [900, 901, None])
    page = running.get("/schedule").text
    told = {
        name: bool(is_open)
        for is_open, name in re.findall(
            r'<details class="plan" id="s\d"( open)?>\s*<summary><h2>([^<]+)', page
        )
    }
    assert told == {"gone/tonight": True, **{f"steady_{n}/tonight": False for n in range(3)}}


def test_times_are_told_once_to_who_lives_there(nights: Nights, serving: Any):
    """Somebody in the schedule's own zone is not shown every time twice."""
    nights.write("steady", [900, 901])
    running = serving(nights.house)
    assert "Next, there" in running.get("/schedule").text
    assert "Next, there" in running.get("/schedule?tz=Asia/Tokyo").text
    here = running.get("/schedule?tz=UTC").text
    assert "Next, there" not in here
    assert ">There<" not in here

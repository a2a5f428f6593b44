"""The home page of a store with more jobs than a calendar has room for."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from nightproof import app
from nightproof.config import Settings
from nightproof.model import clock
from nightproof.views.nights import JobNights, NightView, calendar
from nightproof.views.schedules import schedules
from nightproof.web.pages.home import calendar_of

JOBS, NIGHTS = 120, 35
HOUR, DAY = 3_600_000, 86_400_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Many jobs, each with a schedule of its own at the same time, and a run a night."""
    url = f"sqlite:///{tmp_path_factory.mktemp('many') / 'journal.db'}"

    async def make():
        await app.open_journal(Settings(store=url)).close()

    asyncio.run(make())
    now = clock.now_ms()
    due = now - now % DAY + 3 * HOUR
    spec = json.dumps({"tz": "UTC", "at": "03:00", "cron": None, "missed": "run", "catchUp": 7})
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        for n in range(JOBS):
            name = f"job_{n:03}"
            db.execute(
                "INSERT INTO schedule VALUES (?, ?, '/x.py:j', ?, ?, ?)",
                (name, name, spec, now - 90 * DAY, now),
            )
            for night in range(1, NIGHTS + 1):
                run, at = f"{name}-{night}", due - night * DAY
                db.execute(
                    "INSERT INTO run (name, job, digest, replicate, contract, target, code, "
                    "options, status, created, updated, finished, token) VALUES "
                    "(?, ?, ?, 0, x'7b7d', '/x.py:j', '', x'7b7d', 'completed', ?, ?, ?, 1)",
                    (run, name, run, at, at, at),
                )
                db.execute("INSERT INTO fire VALUES (?, ?, ?, NULL)", (name, at, run))
    return Settings(store=url)


def statements(store, look):
    """How many statements a view takes, and what it has found."""
    reader = app.open_reader(store)
    whole, asked = reader._all, []

    def heard(sql, *values):
        asked.append(sql)
        return whole(sql, *values)

    reader._all = heard
    return asyncio.run(look(reader)), len(asked)


def test_a_calendar_of_many_jobs_takes_few_statements(store):
    """One for the fires of each schedule, and a handful: runs are counted by the store."""
    found, count = statements(store, lambda reader: calendar(reader, zone="UTC"))
    assert len(found.jobs) == JOBS
    assert all(one.last.status in ("completed", "missed") for one in found.jobs if one.last)
    assert sum(night.status == "completed" for night in found.jobs[7].nights) >= NIGHTS - 1
    assert count < JOBS + 10


def test_what_the_home_page_asks_of_schedules_takes_one_statement_each(store):
    """Only what was missed in a week and what comes next."""
    found, count = statements(store, lambda reader: schedules(reader, coming=1, past=0))
    assert len(found) == JOBS
    assert all(len(one.next) == 1 and not one.last for one in found)
    assert count < JOBS + 5


def test_jobs_that_are_not_as_they_should_be_are_shown_before_others():
    """Where there is no room for all, in the order of their names."""

    def job(name, status):
        last = NightView("2026-11-22", status, "", {}) if status else None
        return JobNights(name, "UTC", [], [], last)

    jobs = [job("a", "completed"), job("b", ""), job("c", "failed"), job("d", "drifted")]
    assert [one.job for one in calendar_of(jobs, 3)] == ["a", "c", "d"]
    assert [one.job for one in calendar_of(jobs, 9)] == ["a", "b", "c", "d"]

"""Home, the list of runs, a job's page, the schedule."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from markupsafe import escape

from nightproof import app
from nightproof.journal.schedules import FireRow, ScheduleRow
from nightproof.model import clock
from nightproof.web.nights import bound, days, moment, short
from nightproof.web.rendering import url

DAY_MS = 86_400_000


def text(answer: Any) -> str:
    """What is to be read on a page, in one line."""
    assert answer.status_code == 200, answer.text
    inner = re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2])
    return " ".join(inner.split())


def scheduled(house: Any, name: str, job: str, seen: int, **spec: Any) -> None:
    """The store has seen a schedule for three days, last `seen` milliseconds ago."""
    told = {"tz": "Asia/Tokyo", "at": "04:30", "missed": "catch up", "catchUp": 7, **spec}
    now = clock.now_ms()

    async def keep() -> None:
        journal = app.open_journal(house.settings())
        row = ScheduleRow(name, job, "jobs.py:x", json.dumps(told), now - 3 * DAY_MS, now - seen)
        await journal.keep_schedule(row)
        await journal.close()

    asyncio.run(keep())


def test_home_tells_what_needs_somebody(dashboard: Any):
    """Each with a link that goes on with it."""
    page = dashboard.get("/").text
    runs = dashboard.house.runs
    held = url("/act/resolve", run=runs["held"], effect="doubt/x")
    for link in (
        held,
        url("/act/signal", run=runs["parked"], name="go"),
        url("/act/resume", run=runs["failed"]),
        url("/drift", a=runs["styled"], b=runs["drifted"]),
    ):
        assert f'href="{escape(link)}"' in page
    shown = text(dashboard.get("/"))
    assert "Waits for your decision" in shown
    assert "1 drifted" in shown
    assert "4 things" in shown


def test_home_has_a_calendar_and_the_last_runs(dashboard: Any):
    """A row a job; cells with words, that lead to the worst run of a night."""
    page = dashboard.get("/")
    runs = dashboard.house.runs
    for job in ("nightly", "many", "styled", "patient", "doubt", "failing"):
        assert f'href="/jobs/{job}"' in page.text
    assert url("/runs/{}", runs["crashed"]) in page.text
    assert re.search(r"nightly, \w+ \d+ \w+ \d{4}: 4 completed", text(page))
    assert re.search(r"styled, \w+ \d+ \w+ \d{4}: drifted", text(page))
    assert 'aria-label="rows over 4 nights"' in page.text


def test_an_empty_store_says_what_to_do(tmp_path: Any, house: Any, serving: Any):
    """Home, runs and schedule have something to say before anything has run."""
    empty = type(house)(tmp_path, {})
    asyncio.run(app.open_journal(empty.settings()).close())
    running = serving(empty)
    for path in ("/", "/runs"):
        assert "Nothing has run yet" in text(running.get(path))
    assert "No schedule was ever served" in text(running.get("/schedule"))
    assert running.get("/jobs/none").status_code == 404


def test_runs_are_narrowed_down(dashboard: Any):
    """By status, job, text, dates and kind; what matches is there and nothing else."""
    runs = dashboard.house.runs

    def found(query: str) -> set[str]:
        page = dashboard.get(f"/runs?{query}")
        assert page.status_code == 200
        return {what for what, name in runs.items() if f">{name}</a>" in page.text}

    assert found("status=failed") == {"failed"}
    assert found("status=parked") == {"parked", "held"} == found("status=open")
    assert found("status=interrupted") == set()
    assert found("job=styled") == {"styled", "drifted", "equal"}
    assert found("job=styled&own=1") == {"styled"}
    assert found("q=%22IT%22") == {"crashed"}
    today = datetime.now(UTC).date()
    assert found(f"job=styled&tz=UTC&until={today - timedelta(days=2)}") == set()
    assert len(found(f"tz=UTC&since={today - timedelta(days=2)}")) == len(runs)
    assert found("job=styled&status=nonsense&before=x&since=") == {"styled", "drifted", "equal"}
    assert "this is no date" in text(dashboard.get("/runs?since=tomorrow"))
    assert "No run is like this" in text(dashboard.get("/runs?q=nothing-like-it"))


def test_runs_come_page_by_page(dashboard: Any, monkeypatch: pytest.MonkeyPatch):
    """The next page goes on where the first one ends, with the same filter."""
    monkeypatch.setattr("nightproof.web.pages.runs._PAGE", 2)
    seen: list[str] = []
    path = "/runs?job=nightly"
    for _ in range(2):
        page = dashboard.get(path).text
        seen += re.findall(r">(nightly-[0-9a-f]{10})</a>", page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert path == ""
    assert len(seen) == 4 == len(set(seen))
    assert seen[0] == dashboard.house.runs["crashed"]


def test_a_job_has_a_page(dashboard: Any):
    """A year of nights, charts with their numbers, its runs, and what is known of replicates."""
    page = dashboard.get("/jobs/nightly")
    shown = text(page)
    assert "The last 4 completed nights" in shown
    assert "How long it took" in shown
    assert "rows" in shown
    assert page.text.count('<th scope="col">') >= 53
    assert 'href="/jobs/nightly/budget"' in page.text
    styled = text(dashboard.get("/jobs/styled"))
    assert "drifted" in styled
    assert "its result is another" in styled


def test_the_schedule_is_read_from_the_store(own_house: Any, serving: Any):
    """Served by another process or by nobody: next times, what was missed, and the way back."""
    scheduled(own_house, "nightly/tonight", "nightly", 0)
    scheduled(own_house, "many/hourly", "many", 6 * 60_000, at=None, cron="0 * * * *", tz="UTC")
    scheduled(own_house, "old/tonight", "old", 2 * DAY_MS)
    scheduled(own_house, "bad/tonight", "bad", 0, tz="Mars/Olympus")
    running = serving(own_house)
    page = running.get("/schedule")
    shown = text(page)
    assert "04:30 Asia/Tokyo" in shown
    assert re.search(r"\w+ \d+ \w+, 04:30", shown)
    assert "not served" in shown
    assert "retired" in shown
    assert "Mars/Olympus" in shown
    assert "missed in the last week" in shown
    missed = re.search(r'href="/act/backfill\?schedule=nightly%2Ftonight&amp;([^"]+)"', page.text)
    assert missed
    assert re.fullmatch(r"from=\d{4}-\d\d-\d\d&amp;to=\d{4}-\d\d-\d\d", missed[1])
    assert missed[0] in running.get("/").text
    home = text(running.get("/"))
    assert "Not served" in home
    assert "nothing ran for" in home
    assert re.search(r"nightly, \w+ \d+ \w+ \d{4}: (missed|\d missed)", home)
    assert "Missed this week" in text(running.get("/jobs/nightly"))


def test_a_run_of_the_schedule_is_shown_with_its_time(own_house: Any, serving: Any):
    """And stays there once the run was removed."""
    scheduled(own_house, "nightly/tonight", "nightly", 0)
    due = datetime.fromtimestamp((clock.now_ms() - DAY_MS) / 1000, UTC).replace(
        hour=19, minute=30, second=0, microsecond=0
    )
    at = int(due.timestamp() * 1000)

    async def fire() -> None:
        journal = app.open_journal(own_house.settings())
        run = own_house.runs["crashed"]
        await journal.fire(FireRow("nightly/tonight", at, run, b"{}"))
        await journal.fire(FireRow("nightly/tonight", at - DAY_MS, "gone-0123456789", None))
        await journal.close()

    asyncio.run(fire())
    page = serving(own_house).get("/schedule")
    assert f'href="{url("/runs/{}", own_house.runs["crashed"])}"' in page.text
    assert "gone-0123456789" in text(page)
    assert "collected" in text(page)


def test_names_that_mean_harm_are_only_names(own_house: Any, serving: Any):
    """A schedule and a job by such names are shown as text everywhere."""
    evil = "../<script>alert(1)</script>\x1b[31m"
    scheduled(own_house, evil, evil, 0)
    running = serving(own_house)
    for path in ("/", "/schedule", url("/jobs/{}", evil), url("/runs", job=evil, q=evil)):
        page = running.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        if not path.startswith("/runs"):  # a form gives back what it was given
            assert "\x1b" not in page.text
    assert "&lt;script&gt;alert(1)" in running.get("/schedule").text
    assert running.said == []


def test_dates_and_numbers():
    """The head of a calendar, times in two zones, numbers at a glance, what is no date."""
    head = days(["2026-10-31", "2026-11-01", *[f"2026-11-{day:02}" for day in range(2, 16)]])
    assert (head[0].month, head[1].month, head[2].month) == ("Oct", "Nov", "")
    assert (head[1].name, head[1].weekend, head[1].old) == ("Sun 1 Nov 2026", True, True)
    assert (head[2].first, head[2].old) == ("Nov", False)
    assert moment("2026-10-18T04:30:00+09:00", "Asia/Tokyo")[0] == "2026-10-17T19:30:00+00:00"
    assert "04:30" in moment("2026-10-18T04:30:00+09:00", "Mars")[1]
    assert [short(one) for one in (None, 15470, 0.123456, 12345.678, 901.9519, float("inf"))] == [
        "-", "15,470", "0.1235", "12,346", "902", "inf",
    ]  # fmt: skip
    assert bound("2026-11-22", "Asia/Tokyo") == 1_795_273_200_000
    assert bound("2026-11-22", "Asia/Tokyo", 1) == 1_795_273_200_000 + DAY_MS
    assert bound("9999-12-31", "UTC", 1) is None
    assert bound("22.11.2026", "UTC") is None

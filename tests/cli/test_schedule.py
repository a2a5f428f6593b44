"""`schedule show`, `schedule fire` and `schedule backfill`."""

import json
from datetime import UTC, datetime, timedelta

import pytest

NIGHTS = """
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Literal

from nightproof import Contract, Retry, Window, job, step


class Nightly(Contract):
    task: Literal["nightly"] = "nightly"
    window: Window
    price: str = ""


def log(line: str) -> None:
    with Path("calls.txt").open("a") as file:
        file.write(f"{line}\\n")


@step(retry=Retry(attempts=1))
def fetch(window: Window) -> str:
    log(str(window.date))
    if Path(f"broken-{window.date}").exists():
        raise ValueError("broken")
    while Path("hold").exists():
        Path("holding").touch()
        time.sleep(0.01)
    return str(window.date)


@step
def store(day: str) -> str:
    log(f"stored:{day}")
    return day


@job
async def nightly(contract: Nightly) -> str:
    return await store(await fetch(contract.window))


@nightly.nightly("04:30", tz="Asia/Tokyo", catch_up=3)
def tonight(fire: datetime) -> Nightly:
    if Path("no-contract").exists():
        raise KeyError("price")
    price = Path("price").read_text() if Path("price").exists() else ""
    return Nightly(window=Window.yesterday("America/Los_Angeles", fire), price=price)
"""
FIRE = "2026-10-16T04:30:00+09:00"
DAY = "2026-10-14"  # the day before in Los Angeles, where it was 12:30 on the 15th


@pytest.fixture
def nights(np):
    """The command in a folder with a scheduled job."""
    (np.folder / "nights.py").write_text(NIGHTS)
    return np


def test_show_says_when_and_what_ran(nights):
    """Next times in the schedule's zone; what ran last, once something has."""
    before = nights("schedule", "show", "nights.py", "-n", "2")
    assert before.code == 0, before.err
    assert "nightly/tonight  04:30 Asia/Tokyo" in before.out
    assert before.out.count("04:30 +0900") == 2
    assert not (nights.folder / ".nightproof").exists()  # reading creates nothing
    yesterday = datetime.now(UTC) - timedelta(days=1)
    fire = f"{yesterday:%Y-%m-%d}T04:30+09:00"
    ran = nights("schedule", "fire", "nights.py", fire, "--json").json
    (nights.folder / "nightproof.toml").write_text('serve = ["nights.py"]\n')
    [shown] = nights("schedule", "show", "--json").json["schedules"]
    assert (shown["tz"], shown["at"], shown["cron"], shown["catchUp"]) == (
        "Asia/Tokyo", "04:30", None, 3,
    )  # fmt: skip
    assert (shown["last"]["run"], shown["last"]["status"]) == (ran["run"], "completed")
    assert datetime.fromisoformat(shown["last"]["fire"]) == datetime.fromisoformat(fire)
    assert datetime.fromisoformat(shown["next"][0]) > datetime.now(UTC)
    assert f"{yesterday:%Y-%m-%d} 04:30 +0900  completed" in nights("schedule", "show").out


def test_a_time_runs_once(nights):
    """The contract follows from the time; a second call finds the run and does nothing."""
    first = nights("schedule", "fire", "nights.py", FIRE, "--json")
    assert first.code == 0, first.err
    assert (first.json["result"], first.json["fire"]) == (DAY, FIRE)
    # The same moment, written in another zone.
    second = nights("schedule", "fire", "nights.py", "2026-10-15T19:30:00Z", "--json")
    assert (second.code, second.json["run"]) == (0, first.json["run"])
    assert nights.calls() == [DAY, f"stored:{DAY}"]


def test_the_contract_of_a_time_is_fixed_once(nights):
    """What the contract was made from changes later; the night does not become another run."""
    (nights.folder / "price").write_text("7")
    (nights.folder / f"broken-{DAY}").touch()
    first = nights("schedule", "fire", "nights.py", FIRE, "--json")
    assert (first.code, first.json["status"]) == (1, "failed")
    (nights.folder / "price").write_text("8")
    again = nights("schedule", "fire", "nights.py", FIRE, "--json")
    assert (again.code, again.json["status"]) == (0, "failed")  # a failed night is a person's
    (nights.folder / f"broken-{DAY}").unlink()
    asked = nights("schedule", "fire", "nights.py", FIRE, "--json", "--again")
    assert (asked.json["run"], asked.json["status"]) == (first.json["run"], "completed")
    assert len(nights("runs", "--json").json["runs"]) == 1


def test_what_was_tried_by_hand_still_has_its_night(nights):
    """The night's contract failed in the afternoon; when it is due it is tried again."""
    (nights.folder / f"broken-{DAY}").touch()
    window = {
        "start": f"{DAY}T00:00:00-07:00", "end": "2026-10-15T00:00:00-07:00",
        "zone": "America/Los_Angeles",
    }  # fmt: skip
    contract = json.dumps(
        {"contractVersion": "1", "task": "nightly", "window": window, "price": ""}
    )
    tried = nights("run", "nights.py", contract, "--json")
    assert (tried.code, tried.json["status"]) == (1, "failed")
    (nights.folder / f"broken-{DAY}").unlink()
    ended = nights("schedule", "fire", "nights.py", FIRE, "--json")
    assert (ended.json["run"], ended.json["status"]) == (tried.json["run"], "completed")


def test_a_fixed_contract_runs_although_whoever_fixed_it_died(nights):
    """Killed between fixing the contract and the run: the next one runs what was fixed."""
    ran = nights("schedule", "fire", "nights.py", FIRE, "--json").json["run"]
    import apsw

    db = apsw.Connection(str(nights.folder / ".nightproof" / "journal.db"))
    for table in ("run", "entry", "attempt"):
        db.execute(f"DELETE FROM {table}")
    db.close()
    (nights.folder / "price").write_text("9")
    again = nights("schedule", "fire", "nights.py", FIRE, "--json").json
    assert (again["run"], again["status"]) == (ran, "completed")
    assert nights.calls() == [DAY, f"stored:{DAY}"] * 2


def test_backfill_runs_what_is_missing(nights):
    """Local days, both included; what completed is left alone, what failed is tried again."""
    nights("schedule", "fire", "nights.py", FIRE)
    (nights.folder / "broken-2026-10-13").touch()
    words = ("schedule", "backfill", "nights.py", "--from", "2026-10-14", "--to", "2026-10-17")
    listed = nights(*words, "--dry-run", "--json").json["fires"]
    assert [one[:10] for one in listed] == [f"2026-10-{n}" for n in (14, 15, 16, 17)]
    first = nights(*words, "--parallel", "2", "--json")
    assert first.code == 1
    assert [(one["fire"][:10], one["status"]) for one in first.json["runs"]] == [
        ("2026-10-14", "completed"),
        ("2026-10-15", "failed"),
        ("2026-10-16", "completed"),
        ("2026-10-17", "completed"),
    ]
    assert "3 of 4 done" in first.err
    (nights.folder / "broken-2026-10-13").unlink()
    second = nights(*words)
    assert second.code == 0, second.err
    done = [f"stored:2026-10-{n}" for n in (12, 13, 14, 15)]
    assert sorted(call for call in nights.calls() if call.startswith("stored")) == done


@pytest.mark.parametrize(
    ("first", "said"), [("0001-01-01", "more than 10000"), ("9999-12-30", "not due")]
)
def test_days_at_the_ends_of_the_calendar_are_refused(nights, first, said):
    """In words: they are nobody's bug report."""
    words = ("schedule", "backfill", "nights.py", "--from", first, "--to", "9999-12-31")
    told = nights(*words, "--dry-run")
    assert (told.code, said in told.err) == (2, True), told.err


def test_backfill_is_stopped_gently(nights):
    """SIGTERM: what runs finishes its step and can go on, the rest is not begun."""
    (nights.folder / "hold").touch()
    child = nights.start(
        "schedule", "backfill", "nights.py", "--from", "2026-10-14", "--to", "2026-10-17", "--json",
        NIGHTPROOF_GRACE="20",
    )  # fmt: skip
    nights.wait_until((nights.folder / "holding").exists)
    child.terminate()
    (nights.folder / "hold").unlink()
    ended = nights.ended(child)
    assert ended.code == 75, ended.err
    assert len(ended.json["runs"]) == 1
    assert nights.calls()[0] == "2026-10-12"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fire", "nights.py", "2026-10-16T04:31+09:00"), "is not due at"),
        (("fire", "nights.py", "2026-10-16T04:30"), "not a time with an offset"),
        (("fire", "nights.py", "tonight"), "not a time with an offset"),
        (("fire", "nights.py", FIRE, "--name", "other"), "has no schedule other"),
        (("show",), "no target was given"),
        (("show", "jobs.py"), "schedules nothing"),
        (("backfill", "nights.py", "--from", "2026-10-17", "--to", "2026-10-14"), "is before"),
        (("backfill", "nights.py", "--from", "lately", "--to", "2026-10-14"), "is not a date"),
        (("backfill", "nights.py", "--from", "2199-01-01", "--to", "2199-01-02"), "was not due"),
    ],
)
def test_bad_input(nights, words, said):
    """Exit 2 and one message; nothing is started."""
    ended = nights("schedule", *words)
    assert ended.code == 2
    assert said in ended.err
    assert nights.calls() == []


def test_a_contract_that_cannot_be_made(nights):
    """The error of whoever wrote it, with file and line; no night is fixed."""
    (nights.folder / "no-contract").touch()
    ended = nights("schedule", "fire", "nights.py", FIRE)
    assert ended.code == 2
    assert "nights.py:" in ended.err
    assert "KeyError: 'price'" in ended.err
    (nights.folder / "no-contract").unlink()
    assert nights("schedule", "fire", "nights.py", FIRE).code == 0


def test_what_a_schedule_declares_wrongly(nights):
    """Zone and expression are checked when they are asked for; a wrong type at its night."""
    path = nights.folder / "nights.py"
    for old, new, said in [
        ("Asia/Tokyo", "Asia/Tokio", "not a time zone known here"),
        ('nightly("04:30"', 'cron("30 4 * *"', "expected five fields"),
    ]:
        # Of another length each time: bytecode is known by second and size of its source.
        path.write_text(NIGHTS.replace(old, new) + f"# {said}\n")
        ended = nights("schedule", "show", "nights.py")
        assert (ended.code, said in ended.err) == (2, True), ended.err
    path.write_text(NIGHTS.replace("    return Nightly(window", "    return dict(window"))
    ended = nights("schedule", "fire", "nights.py", FIRE)
    assert ended.code == 2
    assert "is a dict, not a Nightly" in ended.err


def test_schedules_of_several_jobs(nights):
    """All of a file are shown; firing one of several takes its name."""
    more = (
        '\n\n@nightly.cron("0 6 * * 1", tz="UTC")\ndef mondays(fire):\n    return tonight(fire)\n'
    )
    (nights.folder / "nights.py").write_text(NIGHTS + more)
    shown = nights("schedule", "show", "nights.py", "--json").json["schedules"]
    assert [one["schedule"] for one in shown] == ["nightly/tonight", "nightly/mondays"]
    ended = nights("schedule", "fire", "nights.py", FIRE)
    assert (ended.code, "several schedules" in ended.err) == (2, True)
    monday = nights("schedule", "fire", "nights.py", "2026-10-12T06:00Z", "--name", "mondays")
    assert monday.code == 0, monday.err
    assert json.loads(nights("runs", "--json").out)["runs"][0]["job"] == "nightly"

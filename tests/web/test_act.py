"""What people have done from a page: confirmed, carried out, and on record."""

import html
import subprocess
import sys
import time
from pathlib import Path

import pytest
from act_visitor import use
from web_house import command

from nightproof.stores.sqlite import SqliteJournal

HERE = Path(__file__).parent


def test_a_held_effect_is_decided(visitor, runs):
    """It happened, with its result; the run takes that for it when it is resumed."""
    held = runs["held"]
    told = visitor.act("resolve", {"decision": "happened", "result": '"sent"'},
                       run=held, effect="doubt/x")  # fmt: skip
    assert (told["state"], told["run"], told["outcome"]) == (
        "done",
        held,
        "doubt/x is taken as done",
    )
    assert told["who"] == "dashboard, 127.0.0.1"
    assert told["command"].startswith(
        f"nightproof resolve --happened -- {held} doubt/x -  # 6 bytes, sha256:"
    )
    assert f"nightproof resolve --retry -- {held} doubt/x" in visitor.page
    assert visitor.act("resume", run=held)["outcome"] == "completed"
    assert visitor.show(held)["result"] == "sent"
    again = visitor.client.get(f"/act/resolve?run={held}&effect=doubt/x")
    assert again.status_code == 409
    assert "there is nothing to decide" in again.text


def test_a_signal_lets_a_parked_run_complete(visitor, runs):
    """What it waits for is filled in; then resume is offered and does the rest."""
    parked = runs["parked"]
    form = visitor.form(f"/act/signal?run={parked}")
    assert 'name="name" value="go"' in visitor.page
    answer = visitor.post("signal", {**form, "name": "go", "payload": '"the bell"'})
    assert visitor.came(answer)["outcome"] == "'go' sent"
    assert answer.headers["location"].startswith(f"/runs/{parked}?told=")
    assert visitor.act("resume", run=parked)["outcome"] == "completed"
    assert visitor.show(parked)["result"] == "heard the bell"
    late = visitor.form(f"/act/replicate?run={parked}")
    refused = visitor.post("signal", {**late, "name": "go"})
    assert refused.status_code == 409
    assert "takes no signals" in refused.text
    assert len(visitor.trail()) == 2


def test_what_a_run_is_told_may_be_longer_than_a_command(visitor, runs):
    """A command's argument ends at 128 KiB."""
    told = visitor.act(
        "signal", {"name": "go", "payload": f'"{"x" * 300_000}"'}, run=runs["parked"]
    )
    assert (told["state"], told["outcome"]) == ("done", "'go' sent")


@pytest.mark.parametrize("payload", ['"unfinished', "{", "x" * 120_000, "[" * 5000])
def test_a_bad_payload_comes_back_with_what_was_typed(visitor, runs, payload):
    """Nothing is sent, nothing is on record, nothing has to be typed again."""
    form = visitor.form(f"/act/signal?run={runs['parked']}")
    answer = visitor.post("signal", {**form, "name": "go", "payload": payload})
    assert answer.status_code == 422
    assert "The payload is" in answer.text
    assert html.escape(payload, quote=True).replace("&quot;", "&#34;") in answer.text
    assert visitor.trail() == []


def test_a_decision_needs_a_choice_and_a_result_that_is_json(visitor, runs):
    """Otherwise the page comes again, and says what is missing."""
    form = visitor.form(f"/act/resolve?run={runs['held']}&effect=doubt/x")
    assert "Choose one" in visitor.post("resolve", form).text
    wrong = visitor.post("resolve", {**form, "decision": "happened", "result": "sent"})
    assert (wrong.status_code, "is not JSON" in wrong.text) == (422, True)
    assert 'value="happened" required checked' in wrong.text
    assert visitor.trail() == []


SLOW = """
import asyncio
from pathlib import Path
from typing import Literal
from nightproof import Contract, job, step

class Slow(Contract):
    task: Literal["slow"] = "slow"

@step
async def work() -> int:
    Path("working").touch()
    await asyncio.sleep(60)
    return 1

@job
async def slow(contract: Slow) -> int:
    return await work()
"""


def test_a_live_run_is_cancelled(visitor, own_house):
    """Its own process ends it; on a run that is over there is nothing to cancel."""
    (own_house.folder / "slow.py").write_text(SLOW)
    started = subprocess.Popen(
        [sys.executable, "-m", "nightproof", "run", "slow.py:slow", "-", "--json"],
        cwd=own_house.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    started.stdin.write('{"task": "slow"}')
    started.stdin.close()
    try:
        for _ in range(600):
            if (own_house.folder / "working").exists():
                break
            time.sleep(0.05)
        [live] = [one for one in command(own_house.folder, "runs")["runs"] if one["job"] == "slow"]
        busy = visitor.client.get(f"/act/resume?run={live['run']}")
        assert (busy.status_code, "process is at work" in busy.text) == (409, True)
        assert visitor.act("cancel", run=live["run"])["state"] == "done"
        assert started.wait(30) != 0
        assert visitor.show(live["run"])["run"]["status"] == "cancelled"
        refused = visitor.client.get(f"/act/cancel?run={live['run']}")
        assert (refused.status_code, "nothing to cancel" in refused.text) == (409, True)
    finally:
        started.kill()
        started.stdout.close()
        started.wait()


def test_replicates_with_and_without_effects(visitor, runs, own_house):
    """A fresh run of the contract; the world is acted on only where that was asked for."""
    first = runs["night 0"]
    posted = own_house.folder / "posted.txt"
    before = posted.read_text()
    assert visitor.act("replicate", run=first)["outcome"] == f"{first}.1: completed"
    # As if it had a new key. By another process: here the file is open with another SQLite.
    forget = "DELETE FROM effect WHERE key LIKE 'nightly/%'"
    store = str(own_house.folder / ".nightproof" / "journal.db")
    program = (
        f"import sqlite3; db = sqlite3.connect({store!r}); db.execute({forget!r}); db.commit()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert posted.read_text() == before
    again = visitor.act("replicate", {"effects": "on"}, run=first)
    assert again["outcome"] == f"{first}.2: completed"
    assert " --replicate --effects -- " in again["command"]
    assert len(posted.read_text()) > len(before)
    assert visitor.show(f"{first}.2")["contract"] == visitor.show(first)["contract"]


def test_a_backfill_runs_the_nights(visitor, own_house):
    """Each in its own process; the trail has how many were done."""
    folder = own_house.folder
    served = command(folder, "schedule", "fire", "jobs.py", "2026-10-10T04:30:00+02:00")
    assert served["exit"] == 0, served
    target = str(folder / "jobs.py")
    journal = SqliteJournal(str(folder / ".nightproof" / "journal.db"), "x")
    use(journal, lambda: journal.keep_schedule(schedule_row(target)))
    assert "2026" not in visitor.client.get("/act/backfill?schedule=nightly/tonight").text[-3000:]
    wrong = visitor.post("backfill", {**visitor.form("/act/backfill"), "schedule": "nightly/tonight",
                         "from": "2026-10-13", "to": "2026-10-12"})  # fmt: skip
    assert (wrong.status_code, "before the first" in wrong.text) == (422, True)
    days = {"schedule": "nightly/tonight", "from": "2026-10-11", "to": "2026-10-12"}
    answer = visitor.post("backfill", {**visitor.form("/act/backfill"), **days})
    assert answer.headers["location"].startswith("/schedule?told=")
    told = visitor.came(answer)
    assert (told["state"], told["outcome"], told["run"]) == ("done", "2 of 2 done", "")


def schedule_row(target):
    """The schedule of the house as a server would have kept it."""
    from nightproof.journal.schedules import ScheduleRow

    return ScheduleRow(
        "nightly/tonight", "nightly", target, '{"tz": "UTC", "at": "04:30"}', 1000, 1000
    )


def test_what_came_of_it_is_shown_where_it_leads(visitor, runs):
    """The page says it, and says it of nothing else."""
    form = visitor.form(f"/act/cancel?run={runs['parked']}")
    answer = visitor.post("cancel", form)
    page = visitor.client.get(answer.headers["location"])
    assert "Cancel: cancelled" in page.text
    assert "Cancel: cancelled" not in visitor.client.get(f"/runs/{runs['parked']}").text
    assert visitor.client.get(f"/runs/{runs['parked']}?told=99999").status_code == 200
    assert visitor.client.get(f"/runs/{runs['parked']}?told=x").status_code == 200


def test_a_resume_says_what_is_in_doubt(visitor, runs):
    """Before somebody goes on with a run whose effects nobody knows about."""
    visitor.form(f"/act/resume?run={runs['held']}")
    assert "It is not known whether doubt/x happened" in visitor.page
    visitor.form(f"/act/resume?run={runs['parked']}")
    assert "It is not known" not in visitor.page

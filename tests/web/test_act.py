"""What people have done from a page: confirmed, carried out once, and on record."""

import html
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from web_house import command

from nightproof.journal.listing import AuditRow
from nightproof.journal.records import Finish, LaneBatch, Owner, Wanted
from nightproof.model import identity
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import RunStatus
from nightproof.stores.sqlite import SqliteJournal
from nightproof.views.audit import audit_view, intent

HERE = Path(__file__).parent


class Visitor:
    """Somebody with a browser that knows no scripts."""

    def __init__(self, url, folder):
        self.client = httpx2.Client(base_url=url, timeout=60)
        self.folder = folder

    def form(self, path):
        """The fields of the form on a page."""
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text)
        self.page = html.unescape(answer.text)
        return {name: html.unescape(value) for name, value in found}

    def post(self, what, fields):
        """The answer to a form."""
        return self.client.post(f"/act/{what}", data=fields)

    def act(self, what, more=(), **query):
        """Open a page, fill in its form, send it; what came of it."""
        path = f"/act/{what}?" + "&".join(f"{k}={quote(v, safe='')}" for k, v in query.items())
        answer = self.post(what, {**self.form(path), **dict(more)})
        assert answer.status_code == 303, answer.text
        return self.came(answer)

    def came(self, answer):
        """What came of the act that an answer leads to, once it has ended."""
        number = int(answer.headers["location"].rpartition("told=")[2])
        for _ in range(600):
            [row] = [one for one in self.trail() if one["id"] == number]
            if row["state"] != "under way":
                return row
            time.sleep(0.1)
        raise AssertionError(row)

    def trail(self):
        """The audit trail, newest first."""
        return command(self.folder, "audit")["acts"]

    def show(self, run):
        """A run as the command line sees it."""
        return command(self.folder, "show", run)


@pytest.fixture
def visitor(own_house, serving, monkeypatch):
    """A visitor of a dashboard on a house of its own, and in it."""
    monkeypatch.chdir(own_house.folder)
    with sqlite3.connect(own_house.folder / ".nightproof" / "journal.db") as db:
        db.execute(
            "UPDATE run SET target = ? || substr(target, instr(target, '/jobs.py'))",
            (str(own_house.folder),),
        )
    db.close()
    running = serving(own_house)
    made = Visitor(running.url, own_house.folder)
    yield made
    made.client.close()


@pytest.fixture
def runs(own_house):
    """The names of the house's runs."""
    return own_house.runs


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

    return ScheduleRow("nightly/tonight", "nightly", target, '{"at": "04:30"}', 1000, 1000)


def use(journal, ask):
    """What a journal answers."""
    import asyncio

    async def main():
        try:
            return await ask()
        finally:
            await journal.close()

    return asyncio.run(main())


def test_a_form_that_is_sent_twice_acts_once(visitor, runs):
    """At the same time or later: both are led to the same outcome."""
    form = visitor.form(f"/act/signal?run={runs['parked']}")
    fields = {**form, "name": "go", "payload": "1"}
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(visitor.post("signal", fields)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.append(visitor.post("signal", fields))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(visitor.trail()) == 1
    assert len(visitor.show(runs["parked"])["attempts"]) == 1


def test_what_came_of_it_is_shown_where_it_leads(visitor, runs):
    """The page says it, and says it of nothing else."""
    form = visitor.form(f"/act/cancel?run={runs['parked']}")
    answer = visitor.post("cancel", form)
    page = visitor.client.get(answer.headers["location"])
    assert "Cancel: cancelled" in page.text
    assert "Cancel: cancelled" not in visitor.client.get(f"/runs/{runs['parked']}").text
    assert visitor.client.get(f"/runs/{runs['parked']}?told=99999").status_code == 200
    assert visitor.client.get(f"/runs/{runs['parked']}?told=x").status_code == 200


def test_a_command_that_fails_says_why(visitor, runs, own_house):
    """The run's file is gone: the trail and the page have the message."""
    (own_house.folder / "jobs.py").rename(own_house.folder / "gone.py")
    told = visitor.act("resume", run=runs["failed"])
    assert told["state"] == "failed"
    assert "not there any more" in told["outcome"]


def test_nothing_is_done_without_a_token(visitor, runs):
    """A form that does not come from this dashboard changes nothing."""
    assert visitor.post("cancel", {"run": runs["parked"]}).status_code == 403
    assert visitor.client.get("/act/cancel").status_code == 404
    assert visitor.client.get("/act/nothing").status_code == 404
    beginning = runs["parked"][:9]
    assert visitor.client.get(f"/act/cancel?run={beginning}").status_code == 404
    assert visitor.trail() == []


def test_what_cannot_be_a_command_is_not_begun(visitor, runs, monkeypatch):
    """A NUL in a field, or too many commands at once: nothing happens, nothing is on record."""
    form = visitor.form(f"/act/signal?run={runs['parked']}")
    assert visitor.post("signal", {**form, "name": "a\0b", "payload": "1"}).status_code == 422
    monkeypatch.setattr("nightproof.web.acting.MOST", 0)
    busy = visitor.post("signal", {**form, "name": "go", "payload": "1"})
    assert busy.status_code == 503
    assert "too many commands" in busy.text
    assert visitor.trail() == []


def test_a_resume_says_what_is_in_doubt(visitor, runs):
    """Before somebody goes on with a run whose effects nobody knows about."""
    visitor.form(f"/act/resume?run={runs['held']}")
    assert "It is not known whether doubt/x happened" in visitor.page
    visitor.form(f"/act/resume?run={runs['parked']}")
    assert "It is not known" not in visitor.page


HOSTILE = ["--help <script>alert(1)</script>", "-x", "../../etc", "a'b\"c $(true) `x`"]


@pytest.mark.parametrize("job", HOSTILE)
def test_a_hostile_name_is_only_a_name(visitor, own_house, job):
    """Options, markup, paths and quotes reach the command as one word."""
    journal = SqliteJournal(str(own_house.folder / ".nightproof" / "journal.db"), "x")

    async def park():
        owner = Owner(ProcessIdentity("elsewhere/b/n", 1, 1), 1, 30_000)
        row = (await journal.claim(Wanted(job, "sha256:1", b"{}", target="x.py:x"), owner)).run
        journal.commit([LaneBatch(row.id, row.token, (), (Finish(RunStatus.PARKED, 1, "parked"),))])
        return row.name

    name = use(journal, park)
    told = visitor.act("signal", {"name": job, "payload": "1"}, run=name)
    assert (told["state"], told["run"], told["outcome"]) == ("done", name, f"'{job}' sent")
    assert "<script>alert" not in visitor.client.get(f"/act/cancel?run={quote(name, safe='')}").text
    assert visitor.act("cancel", run=name)["outcome"] == "cancelled"


def test_an_act_whose_dashboard_was_killed_has_an_unknown_outcome(own_house, serving, tmp_path):
    """The intent is on record; nobody pretends to know what came of it."""
    slow = tmp_path / "slow"
    slow.mkdir()
    # Stands in for the command: long enough for the dashboard to be killed meanwhile.
    (slow / "sitecustomize.py").write_text(
        "import sys, time\nif 'resume' in sys.argv and '--json' in sys.argv: time.sleep(60)\n"
    )
    program = (
        "import sys, threading\nfrom nightproof import config\n"
        "from nightproof.web.dashboard import Dashboard\n"
        "made = Dashboard(config.Settings(store=sys.argv[1]), print)\n"
        "print(made.start('127.0.0.1', 0), flush=True)\nthreading.Event().wait()\n"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", program, own_house.store],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": f"{slow}:{os.environ.get('PYTHONPATH', '')}"},
    )  # fmt: skip
    try:
        port = started.stdout.readline().strip()
        visitor = Visitor(f"http://127.0.0.1:{port}", own_house.folder)
        form = visitor.form(f"/act/resume?run={own_house.runs['failed']}")
        answer = visitor.post("resume", form)
        number = int(answer.headers["location"].rpartition("told=")[2])
        [row] = visitor.trail()
        assert (row["id"], row["state"], row["code"]) == (number, "under way", None)
        assert "under way" in visitor.client.get(answer.headers["location"]).text
        started.kill()
        started.wait()
        [row] = visitor.trail()
        assert (row["state"], row["code"], row["outcome"]) == ("outcome unknown", None, "")
        again = serving(own_house)
        page = again.get(answer.headers["location"])
        assert "outcome unknown" in page.text
        visitor.client.close()
    finally:
        started.kill()
        started.stdout.close()
        started.wait()
        for child in children_of(f"resume --json -- {own_house.runs['failed']}"):
            os.kill(child, signal.SIGKILL)


def children_of(words):
    """The processes whose command line ends so: what a killed dashboard has left."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().replace(b"\0", b" ").decode().strip().endswith(words):
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def test_who_waits_for_the_end_decides_what_is_known():
    """A living process: under way. A dead one, or words that name none: unknown."""
    row = intent("ana@desk", "cancel", "main-1", "nightproof cancel main-1")
    assert audit_view(row).state == "under way"
    here = identity.here()
    dead = row._replace(outcome=f"{here.host} {2**22 + 1} 1")
    assert audit_view(dead).state == "outcome unknown"
    assert audit_view(row._replace(outcome="")).state == "outcome unknown"
    assert audit_view(row._replace(code=75, outcome="parked")).state == "done"
    failed = audit_view(AuditRow(1, 1, "a", "cancel", "r", "c", -9, "died"))
    assert (failed.state, failed.outcome) == ("failed", "died")

"""What is sent twice, from elsewhere, with odd names or to a dashboard that dies."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from act_visitor import Visitor, use

from nightproof.journal.listing import AuditRow
from nightproof.journal.records import Finish, LaneBatch, Owner, Wanted
from nightproof.model import identity
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import RunStatus
from nightproof.stores.sqlite import SqliteJournal
from nightproof.views.audit import audit_view, intent


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

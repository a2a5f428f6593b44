"""What commands print of what somebody else wrote: no secret, no code for the terminal."""

import io
import json
from datetime import timedelta

import pytest

from nightproof.cli import outcome, serving, session, table
from nightproof.errors import StepFailed
from nightproof.journal.incidents import IncidentRow
from nightproof.observe import telemetry
from nightproof.observe.incident import Incident
from nightproof.serving.children import Children, How
from nightproof.serving.server import Server

DSN = "postgresql://me:hush@db/n"


def test_a_secret_is_hidden_before_it_is_cut(monkeypatch: pytest.MonkeyPatch):
    """A terminal has room for its beginning only, which nobody would know for one."""
    monkeypatch.setattr(table, "terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "30")
    lines = table.rows(["RUN", "ERROR"], [["r-1", f"no answer {DSN}"]])
    assert all("hush" not in line for line in lines)


def test_codes_of_a_job_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Colours are ours; a title, a cursor that moves and hidden text are not printed."""
    monkeypatch.setattr(table, "colours", lambda stream: True)
    hostile = "a\x1b]0;title\x07b\x1b[2J\x1b[1Ac\x1b[8mhidden\x1b[0m\u202ed\re"
    table.out(f"{table.painted('failed')}  {hostile} {DSN}")
    assert capsys.readouterr().out == (
        "\x1b[31mfailed\x1b[0m  abchidden\x1b[0m\ufffdd\ufffde postgresql://(hidden)@db/n\n"
    )
    session.note(hostile)
    assert capsys.readouterr().err == "abchidden\ufffdd\ufffde\n"


class Stream(io.StringIO):
    """A stream that may be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.isatty = lambda: terminal  # type: ignore[method-assign]


@pytest.mark.parametrize("terminal", [True, False])
def test_serve_passes_codes_of_jobs_on_to_logs_only(terminal: bool):
    """A log keeps what was written; a terminal is not steered by it."""
    stream = Stream(terminal=terminal)
    serving._say("nightly: \x1b[2J\x1b]0;owned\x07done", stream)
    told = stream.getvalue().partition("  ")[2]
    assert told == ("nightly: done\n" if terminal else "nightly: \x1b[2J\x1b]0;owned\x07done\n")


def test_serve_hands_its_store_on_where_nobody_looks(monkeypatch: pytest.MonkeyPatch):
    """Everybody can read the arguments of a process."""
    started: list[tuple[list[str], How]] = []
    monkeypatch.setattr(
        Children, "start", lambda self, key, label, words, how: started.append((words, how))
    )
    for store in (DSN, None):
        server = Server(None, None, print, 1, timedelta(1), store)  # type: ignore[arg-type]
        server._start("key", "label", ["resume", "r-1", "--json"])
    assert started == [
        (["resume", "r-1", "--json"], How(environ={"NIGHTPROOF_STORE": DSN})),
        (["resume", "r-1", "--json"], How()),
    ]


def test_what_failed_is_told_without_secrets():
    """Where `run` prints it goes into the mail of a cron job, and into the audit trail."""
    error = StepFailed(
        "fetch", "OSError", f"no answer {DSN}", [{"at": "x", "type": f"E {DSN}", "triage": "t"}]
    )
    told = [*outcome._trouble(error), json.dumps(outcome.failure(error))]
    assert "(hidden)" in told[0]
    assert not any("hush" in line for line in told)


def test_neither_alerts_nor_spans_tell_a_secret():
    """What failed is told with its message, to people elsewhere."""
    assert "hush" not in telemetry._short(f"no answer {DSN}")
    row = IncidentRow("k", "failed", "nightly", "r-1", 1, None, 0, f"no answer {DSN}")
    assert "hush" not in str(Incident.of(row)) + str(Incident.of(row).document())

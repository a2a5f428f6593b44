"""`nightproof alerts` and `metrics`, and what `show` says of a run that is watched."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "import sys; open('alerts.txt', 'a').write(sys.stdin.read())"]


@pytest.fixture
def told(np):
    """Alerts go to a program that keeps them; returns what it was told."""
    words = ", ".join(json.dumps(word) for word in COMMAND)
    (np.folder / "nightproof.toml").write_text(f"[alerts]\ncommand = [{words}]\n")

    def read():
        path = np.folder / "alerts.txt"
        return path.read_text().splitlines() if path.exists() else []

    return read


def test_a_failed_night_is_told_by_check_and_shown(np, told):
    """Once; `show` says so and exits 1 until it is over."""
    boom = np.folder / "boom"
    boom.touch()
    contract = np.contract(boom=str(boom))
    assert np("run", "jobs.py:work", contract).code == 1
    first = np("alerts", "check")
    assert first.code == 0
    assert first.out.splitlines()[0] == told()[0]
    assert told()[0].startswith(f"work failed: run {np.name()} failed: StepFailed: ")
    assert told()[1] == f"nightproof logs {np.name()}"
    assert np("alerts", "check", "--json").json == {"told": [], "problems": []}
    shown = np("alerts", "show")
    assert shown.code == 1
    assert "failed" in shown.out
    boom.unlink()
    assert np("run", "jobs.py:work", contract).code == 0
    [cleared] = np("alerts", "check", "--json").json["told"]
    assert (cleared["event"], cleared["kind"]) == ("cleared", "failed")
    shown = np("alerts", "show", "--json")
    assert (shown.code, len(shown.json["incidents"])) == (0, 1)
    assert np("alerts", "show", "--days", "0").err.startswith("nothing is wrong")


def test_alerts_can_be_tried(np, told):
    """Every sink says whether it works; exit 1 where one does not, 2 without any."""
    assert np("alerts", "test").out == "command  ok\n"
    assert told()[0] == "nightproof: this is a test of the alerts; nothing is wrong"
    (np.folder / "nightproof.toml").write_text('[alerts]\ncommand = ["/no/such"]\n')
    failed = np("alerts", "test", "--json")
    assert failed.code == 1
    assert failed.json["sinks"][0]["ok"] is False
    (np.folder / "nightproof.toml").write_text("")
    none = np("alerts", "test")
    assert none.code == 2
    assert "no alert sink is configured" in none.err


def test_check_says_which_sink_failed(np):
    """Exit 1; the incident is told again later."""
    (np.folder / "nightproof.toml").write_text('[alerts]\ncommand = ["/no/such"]\n')
    boom = np.folder / "boom"
    boom.touch()
    np("run", "jobs.py:work", np.contract(boom=str(boom)))
    ended = np("alerts", "check")
    assert ended.code == 1
    assert "alerts.command: /no/such: could not be started" in ended.err


def test_metrics_and_rules(np):
    """What Prometheus reads, on stdout or in a file; without a journal one message."""
    assert np("metrics").code == 2
    np("run", "jobs.py:work", np.contract())
    text = np("metrics").out
    assert 'nightproof_last_output{job_name="work",measure="squares"} 3\n' in text
    assert np("metrics", "--textfile", "work.prom").code == 0
    assert 'job_name="work"' in (np.folder / "work.prom").read_text()
    assert np("metrics", "--textfile", "work.txt").code == 2
    rules = np("alerts", "rules", "--output", "rules.yml")
    assert rules.code == 0
    if (promtool := shutil.which("promtool")) is not None:
        path = np.folder / "rules.yml"
        assert (
            subprocess.run([promtool, "check", "rules", path], capture_output=True).returncode == 0
        )
    assert np("alerts", "rules").out == Path(np.folder, "rules.yml").read_text()


def test_show_has_the_nights_before_beside_a_measure(np):
    """And when a run that works last came on, in its document."""
    for n in (1, 2, 5):
        np("run", "jobs.py:work", np.contract(n=n))
    assert "measure   squares = 5  (median of 2 nights: 1.5)" in np("show", np.name()).out
    watch = np("show", np.name(), "--json").json["watch"]
    assert watch["outputs"] == [
        {"name": "squares", "value": 5, "median": 1.5, "nights": 2, "zeros": 0}
    ]


def test_show_says_when_a_run_came_on(np):
    """While it works: the last checkpoint, the heartbeat, and whether it has stalled."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"), NIGHTPROOF_STALL="0.001")
    np.wait_until(lambda: len(np.calls()) == 3)
    np.wait_until(lambda: "with 'item'" in np("show", np.name()).out)
    assert "stalled   its limit is 1 ms" in np("show", np.name(), NIGHTPROOF_STALL="0.001").out
    np.touch("go")
    assert np.ended(child).code == 0

"""The pipeline hangs at night: who is told, when, and how often. All processes are real."""

import signal
import time
from contextlib import contextmanager

import pytest
from daily_revenue.simulator.data import COUNTRIES

STALL = "2"
ALERTS = """
[alerts.slack]
token = "file:{folder}/secrets/slack_token"
channel = "env:SLACK_CHANNEL"
url = "env:SLACK_BASE_URL"
"""


@pytest.fixture
def watched(nights):
    """Nights with two servers that watch them and tell the simulator's Slack."""

    @contextmanager
    def begin():
        found = nights()
        toml = ALERTS.format(folder=found.folder)
        (found.folder / "nightproof.toml").write_text(toml, encoding="utf-8")
        servers = [found.start("serve", "--port", "0", NIGHTPROOF_STALL=STALL) for _ in range(2)]
        try:
            yield found
        finally:
            for one in servers:
                one.send_signal(signal.SIGTERM)
            ends = [found.ended(one) for one in servers]
        assert [one.code for one in ends] == [0, 0], ends

    return begin


def alerts(found):
    """What the alerts in Slack say, without the reports."""
    texts = [one["message"]["text"] for one in found.sim.messages()]
    return [text for text in texts if text.startswith("daily_revenue ")]


def only_one_left(found):
    """Whether every country but one is on record."""
    runs = found.command("runs", "--json").json["runs"]
    shown = found.command("show", runs[0]["run"], "--json").json if runs else {"steps": []}
    return [one["done"] for one in shown["steps"] if one["step"] == "ads"] == [len(COUNTRIES) - 1]


def hang(country, seconds):
    """AdMob does not answer for this country."""
    on = {"service": "admob", "contains": f'"{country}"'}
    return {"faults": [{"on": on, "do": {"kind": "hang", "seconds": seconds}}]}


def test_a_hung_step_is_told_once_and_again_when_it_clears(watched):
    """Two servers watch: one alert within the rule, none while it lasts, one at its end."""
    with watched() as found:
        found.sim.script(hang("JP", 7))
        child = found.starting(found.contract())
        found.wait(lambda: len(found.calls()) == len(COUNTRIES) - 1, child)
        silent_since = time.monotonic()
        found.wait(lambda: alerts(found), child)
        took = time.monotonic() - silent_since
        ended = found.ended(child)
        assert ended.code == 0, ended
        found.wait(lambda: len(alerts(found)) == 2)
        opened, cleared = alerts(found)
        run = ended.json["run"]
        assert opened.startswith(f"daily_revenue stalled: run {run} has had no checkpoint for ")
        assert "the last was 'ads' at " in opened
        assert f"nightproof watch {run}" in opened
        assert cleared.startswith("daily_revenue stalled: over after ")
        assert took < 7
        shown = found.command("alerts", "show", "--json").json["incidents"]
        assert [(one["kind"], one["event"]) for one in shown] == [("stalled", "cleared")]
    assert len(alerts(found)) == 2
    assert len(found.sim.messages()) == 3


@pytest.mark.drill
def test_a_frozen_process_cannot_report_itself(watched):
    """It is stopped as a whole, heartbeat and all; another process tells."""
    with watched() as found:
        found.sim.script(hang("JP", 6))
        child = found.starting(found.contract())
        found.wait(lambda: only_one_left(found), child)
        child.send_signal(signal.SIGSTOP)
        try:
            found.wait(lambda: alerts(found), child)
        finally:
            child.send_signal(signal.SIGCONT)
        ended = found.ended(child)
        assert ended.code == 0, ended
        found.wait(lambda: len(alerts(found)) == 2)
    assert ["over after" in text for text in alerts(found)] == [False, True]

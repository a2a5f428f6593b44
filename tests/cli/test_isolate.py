"""Attempts at L1: nothing of the caller's surroundings but what is declared."""

import hashlib
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]
LOOKING = '''
"""A job that tells what is around it."""

import os
import sys
import time
from pathlib import Path
from typing import Literal

from nightproof import Contract, Dataset, artifact, job, step


class Look(Contract):
    task: Literal["look"] = "look"
    data: Dataset | None = None
    until: str = ""
    leave: str = ""


@step
def around(leave: str, until: str) -> dict[str, str]:
    found = {"folder": os.getcwd(), "home": str(Path.home()), "hash": str(hash("x"))}
    found |= {"empty": str(not any([*Path().iterdir(), *Path.home().iterdir()]))}
    found |= {"zone": time.strftime("%Z", time.gmtime(0)) and time.tzname[0]}
    if leave:
        Path(leave).write_text("left")
    if until:
        Path(until + ".begun").touch()
    while until and not Path(until).exists():
        time.sleep(0.01)
    return {**os.environ, **found}


@step
def size(data: Dataset | None) -> int:
    return data.path.stat().st_size if data else 0


@job
async def look(contract: Look) -> dict[str, str]:
    print("the job prints")
    await artifact("a.txt", "same")
    found = await around(contract.leave, contract.until)
    return {**found, "size": str(await size(contract.data))}
'''


@pytest.fixture
def alone(np: Command) -> Command:
    """The command with a place of its own for isolated attempts, and that job."""
    (np.folder / "slots").mkdir()
    (np.folder / "looking.py").write_text(LOOKING)
    np.env |= {"TMPDIR": str(np.folder / "slots")}
    return np


def contract(**fields: object) -> str:
    """A contract of the job `look`."""
    return json.dumps({"contractVersion": "1", "task": "look", **fields})


def left(command: Command) -> list[str]:
    """What was brought to safety from working folders."""
    return sorted(one.name for one in (command.folder / ".nightproof" / "left").glob("*/*"))


def test_nothing_comes_in_but_what_is_declared(alone):
    """Home and working folder are empty; zone, locale, hashes and threads are fixed."""
    outside = {"APP_REGION": "eu", "SECRET": "x", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    outside |= {"NIGHTPROOF_VARIABLES": "APP_*,NIGHTPROOF_*", "LANG": "de_DE", "COLUMNS": "33"}
    ran = alone("run", "looking.py:look", contract(), "--isolate", "L1", "--json", **outside)
    found = ran.json["result"]
    assert ran.code == 0
    assert (found["APP_REGION"], found["TZ"], found["zone"]) == ("eu", "UTC", "UTC")
    assert (found["LC_ALL"], found["PYTHONHASHSEED"]) == ("C.UTF-8", "0")
    assert (found["OMP_NUM_THREADS"], found["COLUMNS"], found["empty"]) == ("1", "80", "True")
    assert not {"SECRET", "LANG", "NIGHTPROOF_VARIABLES"} & set(found)
    assert str(alone.folder / "slots") in found["home"]
    assert found["home"] != found["folder"] == found["HOME"].replace("home", "work")
    assert "the job prints" in ran.err
    log = alone("logs", alone.name(), "--json").json["log"]
    (told,) = [line for line in log if line["kind"] == "isolation"]
    assert told["data"]["level"] == "L1"
    assert told["data"]["declared"] == ["APP_REGION"]
    assert "TZ=UTC" in told["data"]["environment"]
    assert list((alone.folder / "slots").glob("*/*/home")) == []


def test_declared_variables_win_and_the_zone_is_a_setting(alone):
    """TZ is the setting's; a variable that is declared keeps its value from outside."""
    (alone.folder / "nightproof.toml").write_text(
        'timezone = "Europe/Berlin"\nvariables = ["OMP_NUM_THREADS"]\n'
    )
    arguments = ("run", "looking.py:look", contract(), "--isolate=L1", "--json")
    found = alone(*arguments, OMP_NUM_THREADS="2").json["result"]
    assert (found["TZ"], found["zone"], found["OMP_NUM_THREADS"]) == ("Europe/Berlin", "CET", "2")


def test_paths_mean_what_they_mean_outside(alone):
    """Store, artifacts, contract, its dataset and a module as target are found as before."""
    data = b"12345"
    (alone.folder / "in").mkdir()
    (alone.folder / "in" / "d.txt").write_bytes(data)
    dataset = {"uri": "file:d.txt", "sha256": hashlib.sha256(data).hexdigest()}
    (alone.folder / "in" / "c.json").write_text(contract(data=dataset))
    flags = ("--isolate", "L1", "--json", "--store", "sqlite:///db/j.db")
    given = {"NIGHTPROOF_ARTIFACTS": "out"}
    first = alone("run", "looking:look", "in/c.json", *flags, **given)
    assert first.json["result"]["size"] == "5"
    (artifact,) = first.json["artifacts"]
    assert Path(artifact["path"]).is_relative_to(alone.folder / "out")
    assert (alone.folder / "db" / "j.db").is_file()
    dataset["uri"] = "file:in/d.txt"
    from_stdin = alone("run", "looking.py:look", "-", *flags, given=contract(data=dataset), **given)
    assert from_stdin.json["result"]["size"] == "5"
    again = alone("run", "looking:look", "in/c.json", "--store", "sqlite:///db/j.db")
    assert "recorded result" in again.out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("looking.py:look", "{}", "--isolate", "L7"), "L7"),
        (("looking.py:look", "nowhere.json", "--isolate", "L1"), "nowhere.json"),
        (("nowhere.py:look", "{}", "--isolate", "L1"), "nowhere.py"),
    ],
)
def test_bad_input_is_one_message_and_one_document(alone, arguments, part):
    """Before the process changes and after it: exit 2, and the same form of answer."""
    ran = alone("run", *arguments, "--json")
    assert ran.code == 2
    assert part in ran.json["error"]["message"]
    assert ran.err.count("nightproof: ") == 1
    assert "Traceback" not in ran.err


def test_a_zone_that_is_none_is_refused(alone):
    """Before anything is started."""
    ran = alone(
        "run", "looking.py:look", contract(), "--isolate", "L1", NIGHTPROOF_TIMEZONE="Mars/Base"
    )
    assert ran.code == 2
    assert "Mars/Base" in ran.err
    assert not (alone.folder / ".nightproof").exists()


def test_what_the_job_leaves_in_its_working_folder_is_kept(alone):
    """It is moved beside the journal, and said."""
    ran = alone("run", "looking.py:look", contract(leave="out.txt"), "--isolate", "L1")
    assert ran.code == 0
    assert "out.txt" in ran.err
    assert left(alone) == ["out.txt"]


def test_sigterm_leaves_an_isolated_run_that_goes_on(alone):
    """The signal reaches the attempt; exit 75, and resume goes on at the same level."""
    until = str(alone.folder / "go")
    arguments = ("run", "looking.py:look", contract(until=until), "--isolate", "L1", "--json")
    child = alone.start(*arguments)
    alone.wait_until((alone.folder / "go.begun").exists)
    child.send_signal(signal.SIGTERM)
    assert "finishing" in child.stderr.readline()
    alone.touch("go")
    assert alone.ended(child).code == 75
    ran = alone("resume", "--json")
    assert ran.code == 0
    assert ran.json["result"]["NIGHTPROOF_ISOLATION"] == "L1"
    assert ran.json["steps"]["replayed"] == 1


def test_kill_9_costs_no_file_and_no_slot(alone):
    """What a killed attempt left is brought to safety by the next one, in the same place."""
    until = str(alone.folder / "go")
    arguments = ("run", "looking.py:look", contract(until=until, leave="half.txt"))
    child = alone.start(*arguments, "--isolate", "L1")
    alone.wait_until((alone.folder / "go.begun").exists)
    beside = alone("run", "looking.py:look", contract(), "--isolate", "L1", "--json")
    child.kill()
    assert alone.ended(child).code == -signal.SIGKILL
    alone.touch("go")
    ran = alone(*arguments, "--isolate", "L1", "--json")
    assert ran.code == 0
    assert "left files behind" in ran.err
    assert left(alone) == ["half.txt", "half.txt"]
    assert beside.json["result"]["HOME"].endswith("/2/home")
    assert ran.json["result"]["HOME"].endswith("/1/home")


def test_somebody_elses_folder_is_not_used(alone):
    """A folder for isolated attempts that others may write is refused."""
    planted = alone.folder / "slots" / f"nightproof-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    ran = alone("run", "looking.py:look", contract(), "--isolate", "L1")
    assert ran.code == 2
    assert "only this user" in ran.err


def test_replicates_are_made_at_the_level_of_their_run(alone):
    """So that reproduce compares like with like, whatever is around it."""
    first = alone(
        "run", "looking.py:look", contract(), "--isolate", "L1", "--json", TZ="Asia/Tokyo"
    )
    ran = alone("reproduce", first.json["run"], "--times", "1", "--json", PYTHONHASHSEED="9")
    assert ran.code == 0
    assert ran.json["agreement"]["raw"]["equal"] == 1


@pytest.mark.parametrize("times", [5, pytest.param(20, marks=pytest.mark.drill)])
def test_weekly_reports_are_byte_identical(tmp_path, times):
    """Whoever starts it where, in whatever zone and with whatever hashes: the same bytes."""
    pytest.importorskip("currency_converter", reason="CurrencyConverter is not installed")
    command = Command(tmp_path)
    command.env |= {"TMPDIR": str(tmp_path)}
    written = command_output(command)
    zones = ("UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Chatham")

    def once(number: int) -> dict[str, str]:
        mine = Command(tmp_path / f"folder-{number}")
        home = mine.folder / "home"
        home.mkdir(parents=True)
        (home / ".netrc").write_text(f"machine {number}")
        mine.env = command.env | {"HOME": str(home), "TZ": zones[number % len(zones)]}
        mine.env |= {"PYTHONHASHSEED": str(number), "LANG": "tr_TR.UTF-8", "N": str(number)}
        ran = mine(
            "run", str(ROOT / "examples/weekly_report/job.py") + ":weekly_report", "-", "--json",
            "--isolate", "L1", given=written,
        )  # fmt: skip
        assert ran.code == 0, ran.err
        manifest = json.loads(Path(ran.json["artifacts"][0]["manifest"]).read_bytes())
        fixed = manifest["predicate"]["runDetails"]["metadata"]["isolation"]
        assert fixed["level"] == "L1"
        assert {"PYTHONHASHSEED=0", "TZ=UTC", "LC_ALL=C.UTF-8"} <= set(fixed["environment"])
        return {
            Path(one["path"]).name: hashlib.sha256(Path(one["path"]).read_bytes()).hexdigest()
            for one in ran.json["artifacts"]
        }

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(once, range(times)))
    assert len(found[0]) == 3
    assert found == [found[0]] * times


def command_output(command: Command) -> str:
    """The contract of the weekly report."""
    import subprocess
    import sys

    return subprocess.run(
        [sys.executable, "-m", "examples.weekly_report.contract"],
        cwd=ROOT, env=command.env, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("flags", [("--all", "--json"), ("--all",)])
def test_resume_all_goes_on_at_the_level_of_each_run(alone, flags):
    """An isolated run and another one, each as it was begun."""
    until = str(alone.folder / "go")
    begun = [
        alone.start("run", "looking.py:look", contract(until=until + one), *more)
        for one, more in (("1", ("--isolate", "L1")), ("2", ()))
    ]
    for number, child in enumerate(begun, 1):
        alone.wait_until((alone.folder / f"go{number}.begun").exists)
        child.kill()
        alone.ended(child)
        alone.touch(f"go{number}")
    ran = alone("resume", *flags)
    assert ran.code == 0, ran.err
    if "--json" in flags:
        found = {one["result"].get("NIGHTPROOF_ISOLATION") for one in ran.json["runs"]}
        assert found == {"L1", None}
    else:
        assert ran.out.count("completed") == 2


def test_resume_at_another_level_when_it_is_asked_for(alone):
    """L0 is L0 for a run that was begun in isolation."""
    until = str(alone.folder / "go")
    child = alone.start("run", "looking.py:look", contract(until=until), "--isolate", "L1")
    alone.wait_until((alone.folder / "go.begun").exists)
    child.kill()
    alone.ended(child)
    alone.touch("go")
    ran = alone("resume", "--isolate", "L0", "--json")
    assert "NIGHTPROOF_ISOLATION" not in ran.json["result"]

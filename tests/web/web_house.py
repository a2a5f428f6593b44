"""Builds the house: every run by a real process, one of them killed in the middle."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "processes"))

import forked

from nightproof import config

JOBS = Path(__file__).with_name("jobs.py")
DAYS = ("2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21")


@dataclass
class House:
    """A folder with a journal; `runs` are the names of its runs, by what they show."""

    folder: Path
    runs: dict[str, str]

    @property
    def store(self) -> str:
        return f"sqlite:////{str(self.folder / '.nightproof' / 'journal.db').lstrip('/')}"

    def settings(self, **more: Any) -> config.Settings:
        return config.Settings(**{"store": self.store, "keys": str(self.folder / "keys"), **more})


def command(folder: Path, *words: str, given: object = None, **env: str) -> dict:
    """A command's JSON document."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("NIGHTPROOF_")}
    text = None if given is None else json.dumps(given)
    ran = forked.run([*words, "--json"], folder, {**kept, "HOME": str(folder), **env}, text)
    found = json.loads(ran.stdout) if ran.stdout.strip() else {}
    return {**found, "exit": ran.returncode, "said": ran.stderr}


def night(day: str, *countries: str) -> dict:
    """A contract of the nightly job."""
    end = f"{day[:8]}{int(day[8:]) + 1:02}"
    window = {
        "start": f"{day}T00:00:00+01:00",
        "end": f"{end}T00:00:00+01:00",
        "zone": "Europe/Berlin",
    }
    return {"task": "nightly", "window": window, "countries": list(countries or ("DE", "FR"))}


def build(folder: Path) -> dict[str, str]:
    """Fill `folder`; the names of its runs by what they show."""
    folder.mkdir(parents=True)
    shutil.copy(JOBS, folder / "jobs.py")
    runs = {}

    def run(what: str, job: str, given: object, *more: str, **env: str) -> None:
        told = command(folder, "run", f"jobs.py:{job}", "-", *more, given=given, **env)
        assert told.get("run"), told["said"]
        runs[what] = told["run"]

    for number, day in enumerate(DAYS[:-1]):
        run(f"night {number}", "nightly", night(day))
    killed = night(DAYS[-1], "DE", "FR", "IT", "ES")
    command(
        folder,
        "run",
        "jobs.py:nightly",
        "-",
        given=killed,
        NIGHTPROOF_FAIL_AT="item fetch_country:after#3",
    )
    run("crashed", "nightly", killed)
    run("many", "many", {"task": "many", "n": 300})
    run("styled", "styled", {"task": "words", "text": "a"}, HOUSE_STYLE="!")
    run("drifted", "styled", {"task": "words", "text": "a"}, "--replicate", HOUSE_STYLE="?")
    run("equal", "styled", {"task": "words", "text": "a"}, "--replicate", HOUSE_STYLE="!")
    run("parked", "patient", {"task": "words"}, NIGHTPROOF_PARK_AFTER="0.01")
    run("held", "doubt", {"task": "words", "text": "x"})
    run("failed", "failing", {"task": "words", "text": "y"})
    return runs

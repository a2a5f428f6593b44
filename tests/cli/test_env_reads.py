"""`nightproof env reads`: what a run read that nothing declares, and what to write."""

import json
import tomllib

import pytest

JOB = '''
"""A job that reads what its contract does not say."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from nightproof import Contract, Retry, job, step

REGION = os.environ.get("REGION", "eu")


class Reading(Contract):
    task: Literal["reading"] = "reading"
    wait: str = ""


@step
def load() -> int:
    return len((Path.home() / ".fxrc").read_text())


@step
def pooled() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: len(Path("data/a.csv").read_text())).result()


@step(retry=Retry(attempts=1))
def gate(wait: str) -> int:
    if wait and not Path(wait).exists():
        raise RuntimeError("not yet")
    return 1


@job
async def reading(contract: Reading) -> int:
    found = await asyncio.gather(load(), pooled())
    return sum(found) + await gate(contract.wait)
'''


@pytest.fixture
def reading(np, tmp_path):
    """The command in a folder with a job that reads outside its contract."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".fxrc").write_text("rate = 3\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.csv").write_text("1\n")
    (tmp_path / "reading.py").write_text(JOB)
    np.env |= {"HOME": str(home)}
    np.env.pop("REGION", None)
    return np


CONTRACT = '{"contractVersion": "1", "task": "reading"}'


def test_undeclared_reads_with_what_would_declare_them(reading, tmp_path):
    """By import, step and thread; pasted into nightproof.toml nothing is undeclared any more."""
    assert reading("run", "reading.py", CONTRACT).code == 0
    found = reading("env", "reads", reading.name())
    assert found.code == 0
    table = [line.split("  ")[0:1] + line.split() for line in found.out.splitlines()]
    told = {(words[1], words[2]) for words in table if words[1:] and words[-1] == "nothing"}
    assert told == {
        ("variable", "REGION"),
        ("file", str(tmp_path / "home/.fxrc")),
        ("file", str(tmp_path / "data/a.csv")),
    }
    assert "3 things that nothing declares, as far as level L0 sees" in found.out
    assert f"3 undeclared (level L0): variable REGION, file {tmp_path}" in reading("show", "r").out
    settings = "\n".join(line for line in found.out.splitlines() if " = [" in line)
    assert set(tomllib.loads(settings)) == {"files", "variables"}
    (tmp_path / "nightproof.toml").write_text(settings)
    again = reading("run", "reading.py", CONTRACT, "--replicate", "--strict")
    assert again.code == 0, again.err
    document = reading("env", "reads", reading.name(), "--json").json
    assert (document["undeclared"], document["reads"], document["settings"]) == (0, [], [])
    assert "nothing undeclared, as far as level L0 sees" in reading("show", reading.name()).out


def test_the_document(reading, tmp_path):
    """Who read, its digest, the blob with the content, and what the level cannot see."""
    reading("run", "reading.py", CONTRACT)
    document = reading("env", "reads", "reading", "--json", "--all").json
    assert document["levels"] == {"1": "L0"}
    reads = {one["name"]: one for one in document["reads"]}
    file = reads[str(tmp_path / "home/.fxrc")]
    assert (file["reader"], file["calls"], file["size"]) == ("step 'load'", 1, 9)
    assert file["digest"] == file["kept"]
    assert json.loads(file["dataset"])["sha256"] == file["digest"][7:]
    assert reads["REGION"]["reader"] == "the import of the job"
    assert reads[str(tmp_path / "data/a.csv")]["reader"] == "a thread"
    assert reads["HOME"]["declared"] == "harmless"
    assert any("extension modules" in sentence for sentence in document["blind"])


def test_what_attempts_read_is_put_together(reading, tmp_path):
    """A resume reads little; what its first attempt read is on record still."""
    contract = '{"contractVersion": "1", "task": "reading", "wait": "open"}'
    assert reading("run", "reading.py", contract).code == 1
    (tmp_path / "open").touch()
    assert reading("resume").code == 0
    document = reading("env", "reads", "reading", "--json").json
    assert document["levels"] == {"1": "L0", "2": "L0"}
    attempts = {one["name"].rpartition("/")[2]: one["attempts"] for one in document["reads"]}
    assert (attempts[".fxrc"], attempts["REGION"]) == ([1], [1, 2])


def test_strict_refuses_what_the_import_reads(reading):
    """Before anything runs: exit 1, with what to write."""
    refused = reading("run", "reading.py", CONTRACT, "--strict")
    assert refused.code == 1
    assert "the import of the job reads the variable REGION, and nothing declares" in refused.err
    assert 'variables = ["REGION"]' in refused.err
    assert refused.out == ""


def test_a_thread_is_refused_too(reading):
    """It belongs to no known step, and the process to the run alone."""
    names = {"NIGHTPROOF_VARIABLES": "REGION", "NIGHTPROOF_FILES": "home/.fxrc"}
    refused = reading("run", "reading.py", CONTRACT, "--strict", **names)
    assert refused.code == 1
    assert "UndeclaredRead: a thread reads the file" in refused.out


def test_a_run_without_a_witness(reading):
    """One message, and nothing that looks like "nothing was read"."""
    reading("run", "reading.py", CONTRACT, NIGHTPROOF_WITNESS="no")
    refused = reading("env", "reads", reading.name())
    assert refused.code == 2
    assert "it is not on record what run" in refused.err
    assert "undeclared" not in reading("show", reading.name()).out

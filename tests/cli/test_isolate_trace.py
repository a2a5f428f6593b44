"""Attempts at L3: as at L1, and strace sees native readers and other programs."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import Command

READING = '''
"""A job whose steps read natively, through a program, and in Python."""

import ctypes
import os
import subprocess
import time
from pathlib import Path
from typing import Literal

from nightproof import Contract, job, step

libc = ctypes.CDLL(None)
HERE = Path(__file__).parent


class Read(Contract):
    task: Literal["read"] = "read"
    until: str = ""


@step
def natively(name: str) -> int:
    end = time.monotonic() + 0.05
    handle = libc.open(str(HERE / name).encode(), os.O_RDONLY)
    while time.monotonic() < end:  # the others are at work at the same time
        time.sleep(0.01)
    return os.close(handle) or 1


@step
def by_a_program() -> str:
    return subprocess.run(["cat", str(HERE / "c.txt")], capture_output=True, text=True).stdout


@step
def in_python(until: str) -> str:
    if until:
        (HERE / "begun").touch()
    while until and not (HERE / until).exists():
        time.sleep(0.01)
    return (HERE / "d.txt").read_text()


@job
async def read(contract: Read) -> str:
    await natively.map(["a.txt", "b.txt"], concurrency=2)
    handle = libc.open(str(HERE / "e.txt").encode(), os.O_RDONLY)
    os.close(handle)
    return await in_python(contract.until) + await by_a_program()
'''


def refusal() -> str:
    """Why nothing can be traced on this machine; empty where it can."""
    program = shutil.which("strace")
    if program is None:
        return "strace is not installed"
    words = [program, "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "true"]
    tried = subprocess.run(words, capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"strace does not work here: {tried.stderr.strip()}"


WHY = refusal()
traceable = pytest.mark.skipif(bool(WHY), reason=WHY or "-")


@pytest.fixture
def traced(np: Command) -> Command:
    """The command in a folder with that job and its files."""
    (np.folder / "slots").mkdir()
    for name in "abcde":
        (np.folder / f"{name}.txt").write_text(name)
    (np.folder / "reading.py").write_text(READING)
    np.env |= {"TMPDIR": str(np.folder / "slots")}
    return np


def contract(**fields: object) -> str:
    """A contract of the job `read`."""
    return json.dumps({"contractVersion": "1", "task": "read", **fields})


def files(command: Command, run: str) -> dict[str, tuple[str, str]]:
    """The files that a run read, by their names: for which step, and who."""
    log = command("logs", run, "--json").json["log"]
    return {
        Path(read["name"]).name: (read["step"], read["by"])
        for line in log
        if line["kind"] == "witness"
        for read in line["data"]["reads"]
        if read["what"] == "file" and read["digest"]
    }


@traceable
def test_native_readers_and_programs_are_seen_with_their_step(traced):
    """Two items at once are told apart; nothing of nightproof's own or Python's is in it."""
    ran = traced("run", "reading.py:read", contract(), "--isolate", "L3", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["result"] == "dc"
    found = files(traced, ran.json["run"])
    own = {name: place for name, place in found.items() if name.endswith(".txt")}
    assert own == {
        "a.txt": ("natively", "own"),
        "b.txt": ("natively", "own"),
        "c.txt": ("by_a_program", "program cat"),
        "d.txt": ("in_python", "own"),
        "e.txt": ("", "own"),
    }
    assert set(found) - set(own) <= {"reading.py"}
    log = traced("logs", ran.json["run"], "--json").json["log"]
    reads = [read for line in log if line["kind"] == "witness" for read in line["data"]["reads"]]
    natively = {read["fp"] for read in reads if read["step"] == "natively"}
    assert len(natively) == 2
    (told,) = [line["data"] for line in log if line["kind"] == "isolation"]
    assert told["level"] == "L3"
    at_l1 = traced("run", "reading.py:read", contract(), "--isolate", "L1", "--replicate", "--json")
    assert set(files(traced, at_l1.json["run"])) <= {"d.txt", "reading.py"}


@traceable
def test_signals_and_exit_codes_are_the_attempts_own(traced):
    """The process is the one that was started: SIGTERM ends it gently, and it goes on."""
    arguments = ("run", "reading.py:read", contract(until="go"), "--isolate", "L3", "--json")
    child = traced.start(*arguments)
    traced.wait_until((traced.folder / "begun").exists)
    beside = traced("run", "reading.py:read", contract(until="go"))
    assert f"pid {child.pid}" in beside.err
    child.send_signal(signal.SIGTERM)
    assert "finishing" in child.stderr.readline()
    traced.touch("go")
    assert traced.ended(child).code == 75
    ran = traced("resume", "--isolate", "L3", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["steps"]["replayed"] == 3


def test_without_strace_it_says_what_to_install(traced):
    """A clear message; nothing was started."""
    ran = traced("run", "reading.py:read", contract(), "--isolate", "L3", "--json", PATH="/nowhere")
    assert ran.code == 2
    assert "strace" in ran.json["error"]["message"]
    assert "install" in ran.json["error"]["hint"]
    assert not (traced.folder / ".nightproof").exists()


def test_where_tracing_is_forbidden_it_says_why(traced):
    """In strace's own words."""
    tools = traced.folder / "tools"
    tools.mkdir()
    (tools / "strace").write_text("#!/bin/sh\necho 'ptrace: not permitted' >&2\nexit 1\n")
    (tools / "strace").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    ran = traced("run", "reading.py:read", contract(), "--isolate", "L3", "--json", PATH=path)
    assert ran.code == 2
    assert "not permitted" in ran.json["error"]["message"]
    assert "SYS_PTRACE" in ran.json["error"]["hint"]

"""Attempts at L2: in bubblewrap, where only what is declared can be read, by anything."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from tests.cli.conftest import Command

LOOKING = '''
"""A job that tries to read what it is told to."""

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Literal

from nightproof import Contract, Dataset, artifact, job, step


class Read(Contract):
    task: Literal["read"] = "read"
    data: Dataset | None = None
    wanted: list[str] = []
    until: str = ""


@step
def natively(path: str) -> str:
    return subprocess.run(["cat", path], capture_output=True, text=True).stdout


@step
def online(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


@step
def wait(until: str) -> dict[str, str]:
    place = Path(os.environ["APP_DIR"]) if "APP_DIR" in os.environ else Path()
    if until:
        (place / "begun").touch()
    while until and not (place / until).exists():
        time.sleep(0.01)
    Path("out.txt").write_text("left")
    return {"home": str(Path.home()), "folder": os.getcwd(), "tmp": os.environ["TMPDIR"]}


@job
async def read(contract: Read) -> dict[str, object]:
    found = [await natively(path) for path in contract.wanted]
    size = contract.data.path.stat().st_size if contract.data else 0
    await artifact("a.txt", "".join(found))
    places = await wait(contract.until)
    return {"found": found, "size": size, "online": await online(PORT), **places}
'''


def refusal() -> str:
    """Why there is no sandbox on this machine; empty where there is one."""
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed"
    words = [program, "--ro-bind", "/", "/", "--unshare-net", "true"]
    tried = subprocess.run(words, capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"bubblewrap does not work here: {tried.stderr.strip()}"


WHY = refusal()
sandboxed = pytest.mark.skipif(bool(WHY), reason=WHY or "-")


@pytest.fixture(scope="module")
def port():
    """A server on loopback that anybody on this machine can reach."""
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def boxed(np: Command, port: int) -> Command:
    """The command in a project whose job lies in a folder of its own."""
    for name in ("slots", "project", "project/jobs", "shared"):
        (np.folder / name).mkdir()
    np.folder /= "project"
    (np.folder / "jobs" / "reading.py").write_text(LOOKING.replace("PORT", str(port)))
    np.env |= {"TMPDIR": str(np.folder.parent / "slots"), "HOME": str(np.folder.parent)}
    return np


def contract(**fields: object) -> str:
    """A contract of the job `read`."""
    return json.dumps({"contractVersion": "1", "task": "read", **fields})


@sandboxed
def test_only_what_is_declared_can_be_read(boxed):
    """By a native program too: declared files are there, others are not; no network."""
    for name in ("secret.txt", "declared.txt", "pattern-1.txt"):
        (boxed.folder / name).write_text(name)
    data = boxed.folder / "d.txt"
    data.write_text("12345")
    dataset = {"uri": data.as_uri(), "sha256": hashlib.sha256(b"12345").hexdigest()}
    names = ("secret.txt", "declared.txt", "pattern-1.txt")
    wanted = [str(boxed.folder / name) for name in names]
    given = contract(wanted=wanted, data=dataset)
    arguments = ("run", "jobs/reading.py:read", "-", "--json")
    files = "declared.txt,pattern-*.txt"
    inside = boxed(*arguments, "--isolate", "L2", given=given, NIGHTPROOF_FILES=files)
    assert inside.code == 0, inside.err
    result = inside.json["result"]
    assert result["found"] == ["", "declared.txt", "pattern-1.txt"]
    assert (result["size"], result["online"]) == (5, False)
    assert result["home"] == "/nightproof/home"
    assert result["folder"] == "/nightproof/work"
    assert result["tmp"] == "/tmp"
    assert "out.txt" in inside.err
    (artifact,) = inside.json["artifacts"]
    assert Path(artifact["path"]).read_text() == "declared.txtpattern-1.txt"
    outside = boxed(*arguments, "--replicate", given=given).json["result"]
    assert outside["found"] == list(names)
    assert outside["online"]


@sandboxed
def test_mounts_are_on_record(boxed):
    """The log says what was there, what could be written, and that there was no network."""
    ran = boxed("run", "jobs/reading.py:read", contract(), "--isolate", "L2", "--json")
    log = boxed("logs", ran.json["run"], "--json").json["log"]
    (told,) = [line["data"] for line in log if line["kind"] == "isolation"]
    assert told["level"] == "L2"
    assert told["network"] is False
    assert f"ro {boxed.folder}/jobs" in told["mounts"]
    assert f"rw {boxed.folder}/.nightproof" in told["mounts"]
    assert f"ro {boxed.folder}" not in told["mounts"]


@sandboxed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_and_exit_codes_come_through(boxed, number):
    """One signal, to the whole group too, ends the attempt gently; resume goes on inside."""
    shared = str(boxed.folder.parent / "shared")
    boxed.env |= {"APP_DIR": shared, "NIGHTPROOF_VARIABLES": "APP_DIR"}
    (boxed.folder / "nightproof.toml").write_text(f'files = ["{shared}"]\n')
    # Declared files are read-only; what the step waits for comes through the artifacts.
    boxed.env["NIGHTPROOF_ARTIFACTS"] = shared
    arguments = ("run", "jobs/reading.py:read", contract(until="go"), "--isolate", "L2", "--json")
    child = boxed.start(*arguments)
    boxed.wait_until(Path(shared, "begun").exists)
    child.send_signal(number)
    assert "finishing" in child.stderr.readline()
    Path(shared, "go").touch()
    assert boxed.ended(child).code == 75
    ran = boxed("resume", "--isolate", "L2", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["result"]["home"] == "/nightproof/home"
    assert ran.json["steps"]["replayed"] == 1


@sandboxed
def test_kill_9_of_the_command_ends_the_attempt(boxed):
    """Nothing goes on unseen in the sandbox; the next attempt takes over."""
    shared = str(boxed.folder.parent / "shared")
    boxed.env |= {"APP_DIR": shared, "NIGHTPROOF_VARIABLES": "APP_DIR"}
    boxed.env["NIGHTPROOF_ARTIFACTS"] = shared
    arguments = ("run", "jobs/reading.py:read", contract(until="go"), "--isolate", "L2", "--json")
    child = boxed.start(*arguments)
    boxed.wait_until(Path(shared, "begun").exists)
    child.kill()
    boxed.ended(child)
    Path(shared, "go").touch()
    ran = boxed(*arguments)
    assert ran.code == 0, ran.err
    log = boxed("logs", ran.json["run"], "--json").json["log"]
    assert [line["kind"] for line in log].count("died") == 1


@sandboxed
def test_a_target_that_would_show_the_whole_home_is_refused(boxed):
    """One message that says what to do."""
    home = boxed.folder.parent
    shutil.copy(boxed.folder / "jobs" / "reading.py", home / "reading.py")
    ran = boxed("run", str(home / "reading.py"), contract(), "--isolate", "L2", "--json")
    assert ran.code == 2
    assert "would be visible" in ran.json["error"]["message"]
    assert "folder of its own" in ran.json["error"]["hint"]


def test_without_bubblewrap_it_says_what_to_install(boxed):
    """A clear message; nothing was started."""
    ran = boxed(
        "run", "jobs/reading.py:read", contract(), "--isolate", "L2", "--json", PATH="/nowhere"
    )
    assert ran.code == 2
    assert "bubblewrap" in ran.json["error"]["message"]
    assert "install" in ran.json["error"]["hint"]
    assert not (boxed.folder / ".nightproof").exists()


def test_a_sandbox_that_cannot_be_set_up_is_said(boxed):
    """Where the machine forbids it, bubblewrap's own words and what to do."""
    tools = boxed.folder / "tools"
    tools.mkdir()
    (tools / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    (tools / "bwrap").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    ran = boxed("run", "jobs/reading.py:read", contract(), "--isolate", "L2", "--json", PATH=path)
    assert ran.code == 2
    assert "No permissions" in ran.err
    assert "user namespaces" in ran.json["error"]["hint"]

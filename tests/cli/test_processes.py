"""Real processes: killed, asked to stop, started twice."""

import os
import signal
import sys

import pytest


def test_kill_9_and_the_same_command_goes_on(np):
    """Items on record are not repeated; the one under way is."""
    contract = np.contract(n=6, until="go")
    child = np.start("run", "jobs.py:work", contract)
    np.wait_until(lambda: "2" in np.calls())
    child.kill()
    assert np.ended(child).code == -signal.SIGKILL
    np.touch("go")
    ran = np("run", "jobs.py:work", contract, "--json")
    assert ran.code == 0
    assert ran.json["result"] == 55
    assert ran.json["steps"]["replayed"] == 2
    assert np.calls() == ["0", "1", "2", "2", "3", "4", "5"]
    log = np("logs", np.name(), "--json").json["log"]
    assert [line["kind"] for line in log if line["kind"] in ("started", "died", "resumed")] == [
        "started",
        "died",
        "resumed",
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_and_ctrl_c_leave_a_run_that_goes_on(np, number):
    """What is under way finishes, exit 75, and resume needs no argument."""
    contract = np.contract(n=5, until="go")
    child = np.start("run", "jobs.py:work", contract, "--json")
    np.wait_until(lambda: "2" in np.calls())
    child.send_signal(number)
    line = child.stderr.readline()
    assert "finishing what is under way" in line
    np.touch("go")
    stopped = np.ended(child)
    assert stopped.code == 75
    assert stopped.json["status"] == "running"
    assert stopped.json["error"]["type"] == "Interrupted"
    assert np.calls() == ["0", "1", "2"]
    ran = np("resume", "--json")
    assert ran.code == 0
    assert ran.json["result"] == 30
    assert np.calls() == ["0", "1", "2", "3", "4"]


def test_second_signal_ends_at_once(np):
    """A step that never ends does not hold the process up; the run can be resumed."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"))
    np.wait_until(lambda: "2" in np.calls())
    child.terminate()
    assert "finishing" in child.stderr.readline()
    child.terminate()
    assert np.ended(child).code == 75
    np.touch("go")
    assert np("resume", "--json").json["result"] == 5


def test_grace_ends_and_the_process_leaves_its_thread(np):
    """A step that does not end within the grace period is left behind, and runs again."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"), NIGHTPROOF_GRACE="0.3")
    np.wait_until(lambda: "2" in np.calls())
    child.terminate()
    assert np.ended(child).code == 75
    np.touch("go")
    ran = np("resume", "--json")
    assert ran.json["result"] == 5
    assert np.calls() == ["0", "1", "2", "2"]


def test_two_processes_at_once(np):
    """One works, the other says who does and leaves with exit 0."""
    contract = np.contract(until="go")
    child = np.start("run", "jobs.py:work", contract, "--json")
    np.wait_until(lambda: "2" in np.calls())
    second = np("run", "jobs.py:work", contract, "--json")
    assert second.code == 0
    assert second.json["status"] == "running"
    assert second.json["run"] == np.name()
    assert second.json["job"] == "work"
    assert f"pid {child.pid}" in second.err
    np.touch("go")
    assert np.ended(child).json["result"] == 5
    assert np.calls() == ["0", "1", "2"]


def test_boot_record_of_a_process_that_dies_while_importing(np):
    """It is written before the user's module, and doctor shows it."""
    (np.folder / "dies.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert np("run", "dies.py:job", np.contract()).code == -signal.SIGKILL
    told = np("doctor")
    assert "died before its run began" in told.out
    assert "dies.py:job" in told.out


def test_boot_record_says_why_there_was_no_run(np):
    """A refused contract is no mystery: doctor does not list it."""
    assert np("run", "jobs.py:work", "nowhere.json").code == 2
    np("run", "jobs.py:work", np.contract())
    np("run", "jobs.py:work", np.contract())
    boots = [one for one in np("doctor", "--json").json["findings"] if one["what"] == "boots"]
    assert [one["state"] for one in boots] == ["ok"]


def test_interrupt_while_importing_is_75(np):
    """SIGTERM before the run begins: nothing was done, and it is worth another try."""
    (np.folder / "slow.py").write_text(
        "import time\nfrom pathlib import Path\nPath('importing').touch()\ntime.sleep(60)\n"
    )
    child = np.start("run", "slow.py:job", np.contract(), "--json")
    np.wait_until((np.folder / "importing").exists)
    child.terminate()
    stopped = np.ended(child)
    assert stopped.code == 75
    assert stopped.json["error"]["type"] == "Interrupted"
    assert "Traceback" not in stopped.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bars_on_a_terminal_only(np):
    """On a terminal the map shows its items and what it has done; in a pipe nothing does."""
    import pty

    mine, theirs = pty.openpty()
    child = np.start(
        "run", "jobs.py:work", np.contract(n=7, until="go"), stderr=theirs, TERM="xterm"
    )
    os.close(theirs)
    seen = b""
    while b"2/7" not in seen:
        seen += os.read(mine, 4096)
    np.touch("go")
    assert np.ended(child).code == 0
    os.close(mine)
    assert b"item" in seen

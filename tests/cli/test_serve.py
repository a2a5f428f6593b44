"""`nightproof serve`: real servers, real children."""

import json
import os
import re
import signal
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import apsw
import pytest

JOBS = """
import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from nightproof import Contract, Retry, Window, job, sleep, step


class Nightly(Contract):
    task: Literal["nightly"] = "nightly"
    window: Window


def log(line: str) -> None:
    # One write with O_APPEND: whole even where several processes write.
    with open("calls.txt", "ab", buffering=0) as file:
        file.write(f"{line}\\n".encode())


@step(retry=Retry(attempts=1))
def fetch(window: Window) -> str:
    log(f"{window.date}")
    while Path("hold").exists():
        Path("holding").touch()
        time.sleep(0.01)
    return str(window.date)


@step
def store(day: str) -> str:
    while Path("hold-store").exists():
        Path("storing").touch()
        time.sleep(0.01)
    log(f"stored:{day}")
    return day


@job
async def nightly(contract: Nightly) -> str:
    day = await fetch(contract.window)
    if Path("park").exists():
        await sleep(1.5)
    return await store(day)


@nightly.nightly("04:30", tz="Asia/Tokyo", catch_up=2)
def tonight(fire: datetime) -> Nightly:
    return Nightly(window=Window.yesterday("America/Los_Angeles", fire))
"""


@pytest.fixture
def nights(np):
    """The command in a folder with a scheduled job."""
    (np.folder / "nights.py").write_text(JOBS)
    return np


def database(np):
    return apsw.Connection(str(np.folder / ".nightproof" / "journal.db"))


def serve_since(np, days: int) -> list[str]:
    """Make the schedule one that has been served for so many days; the days it has missed."""
    assert np("serve", "nights.py", "--once").code == 0
    db = database(np)
    db.execute("UPDATE schedule SET since = since - ? * 86400000", (days,))
    db.close()
    shown = np("schedule", "show", "nights.py", "--json").json["schedules"][0]
    coming = datetime.fromisoformat(shown["next"][0])
    return [f"{coming - timedelta(days=n + 2):%Y-%m-%d}" for n in range(1, days + 1)][::-1]


def listening(np, *more: str, **env: str):
    """A server that listens, and its URL."""
    child = np.start("serve", "nights.py", "--port", "0", *more, **env)
    told = []
    while True:
        line = child.stdout.readline()
        assert line, child.communicate()
        told.append(line)
        if found := re.search(r"serving on (http://[^/]+)/", line):
            return child, found[1]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def runs(np) -> list[dict[str, str]]:
    return np("runs", "--json").json["runs"]


def test_two_servers_run_each_missed_night_once(nights):
    """Both see the same two missed nights; every step of each runs once."""
    missed = serve_since(nights, 2)
    servers = [listening(nights) for _ in range(2)]
    nights.wait_until(lambda: sum(c.startswith("stored") for c in nights.calls()) >= 2)
    nights.wait_until(lambda: len(runs(nights)) == 2)
    # Long enough for a round in which everything is done.
    for _, url in servers:
        begun = rounds(url)
        nights.wait_until(lambda url=url, begun=begun: rounds(url) >= begun + 1)
    for child, _ in servers:
        child.terminate()
    ended = [nights.ended(child) for child, _ in servers]
    assert [one.code for one in ended] == [0, 0]
    assert sorted(nights.calls()) == sorted([*missed, *(f"stored:{day}" for day in missed)])
    assert {one["status"] for one in runs(nights)} == {"completed"}
    assert len(runs(nights)) == 2


def rounds(url: str) -> int:
    return int(
        re.search(r"^nightproof_serve_rounds_total (\d+)$", get(f"{url}/metrics")[1], re.MULTILINE)[
            1
        ]
    )


@pytest.mark.drill
def test_two_servers_start_what_is_due_once(nights):
    """Both wait for the same minute and start at the same time: each time runs once."""
    path = nights.folder / "nights.py"
    text = JOBS.replace('nightly.nightly("04:30", tz="Asia/Tokyo", catch_up=2)', EVERY_MINUTE)
    path.write_text(text.replace('Window.yesterday("America/Los_Angeles", fire)', MINUTE))
    assert "cron" in path.read_text()
    servers = [listening(nights) for _ in range(2)]
    nights.wait_until(lambda: sum(c.startswith("stored") for c in nights.calls()) >= 1, 90)
    begun = [rounds(url) for _, url in servers]
    nights.wait_until(lambda: all(rounds(u) > b for (_, u), b in zip(servers, begun, strict=True)))
    for child, _ in servers:
        child.terminate()
    assert [nights.ended(child).code for child, _ in servers] == [0, 0]
    done = runs(nights)
    assert len(done) in (1, 2)  # two where a minute ended meanwhile
    assert len(nights.calls()) == 2 * len(done)


EVERY_MINUTE = 'nightly.cron("* * * * *", tz="UTC")'
MINUTE = "Window(start=fire - timedelta(minutes=1), end=fire)"


def test_missed_nights_are_bounded(nights):
    """Ten nights without a server: the newest two are caught up, as was declared."""
    missed = serve_since(nights, 10)
    once = nights("serve", "nights.py", "--once", "--json")
    assert once.code == 0, once.err
    assert [one["status"] for one in once.json["ended"]] == ["completed"] * 2
    assert [call for call in nights.calls() if not call.startswith("stored")] == missed[-2:]
    again = nights("serve", "nights.py", "--once", "--json")
    assert again.code == 0, again.err
    assert again.json["ended"] == []


def test_missed_nights_may_be_skipped(nights):
    """`missed="skip"`: what is more than an hour late is not run, and somebody is told."""
    text = (nights.folder / "nights.py").read_text()
    # Due twelve hours from now, so that no night is due while the test runs.
    hour = (datetime.now(UTC) + timedelta(hours=12)).hour
    text = text.replace("catch_up=2", 'missed="skip"').replace("04:30", f"{hour:02}:30")
    (nights.folder / "nights.py").write_text(text.replace("Asia/Tokyo", "UTC"))
    tell = 'command = ["sh", "-c", "cat >> told.txt"]\n'
    (nights.folder / "nightproof.toml").write_text(f"[alerts]\n{tell}")
    serve_since(nights, 3)
    for _ in range(2):
        once = nights("serve", "nights.py", "--once", "--json")
        assert (once.code, once.json["ended"]) == (0, []), once.err
    told = (nights.folder / "told.txt").read_text()
    assert told.count("schedule nightly/tonight") == 1, told


def test_a_killed_run_is_resumed(nights):
    """A run whose process died is gone on with: what it had recorded is not done again."""
    (nights.folder / "hold-store").touch()
    child = nights.start("schedule", "fire", "nights.py", "2026-10-16T04:30+09:00")
    nights.wait_until((nights.folder / "storing").exists)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    (nights.folder / "hold-store").unlink()
    server, url = listening(nights)
    nights.wait_until(lambda: runs(nights)[0]["status"] == "completed")
    assert nights.calls() == ["2026-10-14", "stored:2026-10-14"]
    assert "nightproof_serve_resumes_total 1" in get(f"{url}/metrics")[1]
    server.terminate()
    assert nights.ended(server).code == 0


def test_a_parked_run_is_resumed_when_its_wait_is_over(nights):
    """Nothing is left running meanwhile; the server starts it again at its time."""
    (nights.folder / "park").touch()
    parked = nights(
        "schedule", "fire", "nights.py", "2026-10-16T04:30+09:00", NIGHTPROOF_PARK_AFTER="0.2"
    )
    assert parked.code == 75, parked.err
    server, url = listening(nights)
    nights.wait_until(lambda: runs(nights)[0]["status"] == "completed")
    assert "nightproof_serve_resumes_total 1" in get(f"{url}/metrics")[1]
    server.terminate()
    assert nights.ended(server).code == 0
    assert nights.calls() == ["2026-10-14", "stored:2026-10-14"]


def test_sigterm_drains(nights):
    """Children finish their step and leave; their runs go on with the next server."""
    [missed] = serve_since(nights, 1)
    (nights.folder / "hold").touch()
    server, url = listening(nights, NIGHTPROOF_GRACE="20")
    nights.wait_until((nights.folder / "holding").exists)
    assert json.loads(get(f"{url}/healthz")[1])["running"] != []
    server.terminate()
    assert "draining" in server.stderr.readline()
    assert get(f"{url}/healthz")[0] == 503
    told = []
    for line in server.stdout:
        told.append(line)
        if "finishing what is under way" in line:  # the child has heard of it
            (nights.folder / "hold").unlink()
    assert (server.wait(), "drained" in told[-1]) == (0, True)
    assert runs(nights)[0]["status"] == "running"
    once = nights("serve", "nights.py", "--once")
    assert once.code == 0, once.err
    assert nights.calls() == [missed, f"stored:{missed}"]


@pytest.mark.drill
def test_a_child_that_does_not_stop_is_killed(nights):
    """A hung step does not keep a server from leaving; its run is as after any crash."""
    [missed] = serve_since(nights, 1)
    (nights.folder / "hold").touch()
    server, _ = listening(nights, NIGHTPROOF_GRACE="0.2")
    nights.wait_until((nights.folder / "holding").exists)
    server.terminate()
    assert nights.ended(server).code == 0
    (nights.folder / "hold").unlink()
    assert nights("serve", "nights.py", "--once").code == 0
    assert nights.calls() == [missed, missed, f"stored:{missed}"]


@pytest.mark.drill
def test_a_killed_server_leaves_its_runs_alone(nights):
    """SIGKILL for the server: its child goes on by itself, the next server finds it done."""
    [missed] = serve_since(nights, 1)
    (nights.folder / "hold").touch()
    server, _ = listening(nights)
    nights.wait_until((nights.folder / "holding").exists)
    server.send_signal(signal.SIGKILL)
    server.wait()
    other, url = listening(nights)
    (nights.folder / "hold").unlink()
    nights.wait_until(lambda: runs(nights)[0]["status"] == "completed")
    begun = rounds(url)
    nights.wait_until(lambda: rounds(url) >= begun + 1)
    other.terminate()
    assert nights.ended(other).code == 0
    assert nights.calls() == [missed, f"stored:{missed}"]


def test_pages(nights):
    """Health as JSON, numbers for Prometheus, and nothing else."""
    server, url = listening(nights)
    nights.wait_until(lambda: get(f"{url}/healthz")[0] == 200)
    health = json.loads(get(f"{url}/healthz")[1])
    assert (health["status"], health["problems"], health["running"]) == ("ok", {}, [])
    [schedule] = health["schedules"]
    assert schedule["schedule"] == "nightly/tonight"
    coming = int(datetime.fromisoformat(schedule["next"]).timestamp())
    shown = f'nightproof_schedule_next_timestamp_seconds{{schedule="nightly/tonight"}} {coming}'
    assert shown in get(f"{url}/metrics")[1].splitlines()
    assert get(f"{url}/other")[0] == 404
    request = urllib.request.Request(f"{url}/healthz", data=b"x")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(request)
    port = url.rpartition(":")[2]
    second = nights("serve", "nights.py", "--port", port)
    assert (second.code, f"cannot listen on 127.0.0.1:{port}" in second.err) == (2, True)
    server.terminate()
    nights.ended(server)


@pytest.mark.drill
def test_a_changed_file_is_read_again(nights):
    """A new schedule is served without a restart; a broken file keeps the old one."""
    server, url = listening(nights)
    path = nights.folder / "nights.py"
    # Of another length: bytecode is known by second and size of its source.
    path.write_text(JOBS.replace("04:30", "05:15") + "# later\n")
    nights.wait_until(
        lambda: "15:00" in json.loads(get(f"{url}/healthz")[1])["schedules"][0]["next"]
    )
    path.write_text(JOBS + "\n1 / 0\n")
    nights.wait_until(lambda: "ZeroDivisionError" in get(f"{url}/healthz")[1])
    assert "15:00" in json.loads(get(f"{url}/healthz")[1])["schedules"][0]["next"]
    path.write_text(JOBS)
    nights.wait_until(lambda: json.loads(get(f"{url}/healthz")[1])["problems"] == {})
    os.kill(server.pid, signal.SIGHUP)
    server.terminate()
    assert "05:15 Asia/Tokyo" in nights.ended(server).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent.py",), "there is no file"),
        (("jobs.py",), "schedules nothing"),
        (("--json",), "--json needs --once"),
    ],
)
def test_bad_input(nights, words, said):
    """Exit 2 and one message; no server."""
    ended = nights("serve", *words)
    assert (ended.code, said in ended.err) == (2, True), ended.err


def test_without_a_schedule_it_still_resumes(nights):
    """`serve --once` without targets is `resume --all` for a cron table."""
    (nights.folder / "park").touch()
    nights("schedule", "fire", "nights.py", "2026-10-16T04:30+09:00", NIGHTPROOF_PARK_AFTER="0.2")
    (nights.folder / "park").unlink()
    nights.wait_until(lambda: due(nights))
    once = nights("serve", "--once", "--json")
    assert (once.code, once.json["ended"][0]["status"]) == (0, "completed")
    assert "no schedule is served" in once.err


def due(np) -> bool:
    db = database(np)
    wake = db.execute("SELECT wake FROM run").get
    db.close()
    return wake <= datetime.now(UTC).timestamp() * 1000

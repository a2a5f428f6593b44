"""`nightproof serve` and its dashboard: where it listens, who may ask, what happens without it."""

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

JOBS = """
import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from nightproof import Contract, Window, job, step


class Nightly(Contract):
    task: Literal["nightly"] = "nightly"
    window: Window


@step
def look(window: Window) -> str:
    Path("environment").write_text(repr(dict(os.environ)))
    return str(window.date)


@job
async def nightly(contract: Nightly) -> str:
    return await look(contract.window)


@nightly.nightly("04:30", tz="Asia/Tokyo", catch_up=1)
def tonight(fire: datetime) -> Nightly:
    return Nightly(window=Window.yesterday("Asia/Tokyo", fire))
"""
TOKEN = "a-token-of-some-length"
WITHOUT = (
    "import sys; sys.modules['starlette'] = None; from nightproof.cli.main import main; main()"
)


@pytest.fixture
def nights(np: Any) -> Any:
    """The command in a folder with a job that has missed a night."""
    (np.folder / "nights.py").write_text(JOBS)
    assert np("serve", "nights.py", "--once").code == 0
    import apsw

    db = apsw.Connection(str(np.folder / ".nightproof" / "journal.db"))
    db.execute("UPDATE schedule SET since = since - 2 * 86400000")
    db.close()
    return np


def lines(child: subprocess.Popen[str], last: str) -> list[str]:
    """What a server says, to the line that holds `last`."""
    told: list[str] = []
    while not told or last not in told[-1]:
        told.append(child.stdout.readline())
        assert told[-1], child.communicate()
    return told


def status(url: str, **headers: str) -> int:
    """The status of a page; redirects are not followed."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    try:
        asked = urllib.request.Request(url, headers=headers)
        with urllib.request.build_opener(Stay).open(asked, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_elsewhere_it_asks_for_a_token(nights: Any):
    """On every address it demands the token, which no line tells and no job is started with."""
    child = nights.start(
        "serve", "nights.py", "--host", "0.0.0.0", "--port", "0", NIGHTPROOF_DASHBOARD_TOKEN=TOKEN
    )
    told = lines(child, "serving on")
    port = re.search(r":(\d+)/ \(pid", told[-1])[1]
    url = f"http://127.0.0.1:{port}"
    assert status(url + "/audit") == 303
    assert status(url + "/metrics") == 401
    assert status(url + "/metrics", Authorization=f"Bearer {TOKEN}") == 200
    assert status(url + "/healthz") in (200, 503)
    nights.wait_until((nights.folder / "environment").exists)
    told += lines(child, "completed")
    child.terminate()
    ended = nights.ended(child)
    assert ended.code == 0
    assert TOKEN not in "".join(told) + ended.out + ended.err
    assert TOKEN not in (nights.folder / "environment").read_text()


def test_the_kept_token(nights: Any):
    """Without one in the environment it is made in the folder of keys, and its file is named."""
    keys = nights.folder / "keys"
    child = nights.start(
        "serve", "nights.py", "--port", "0", NIGHTPROOF_KEYS=str(keys),
        NIGHTPROOF_PUBLIC_URL="https://nights.example.com",
    )  # fmt: skip
    told = "".join(lines(child, "for people at https://nights.example.com"))
    assert str(keys / "dashboard.token") in told
    token = (keys / "dashboard.token").read_text().strip()
    assert token not in told
    url = re.search(r"serving on (\S+)/ ", told)[1]
    assert status(url + "/metrics", Authorization=f"Bearer {token}") == 200
    assert status(url + "/metrics", Authorization="Bearer x", Host="nights.example.com") == 401
    assert status(url + "/metrics", Host="evil.example") == 421
    child.terminate()
    assert nights.ended(child).code == 0


@pytest.mark.parametrize(
    ("words", "env", "told"),
    [
        (["--host", "192.0.2.1"], {}, "cannot listen on 192.0.2.1:"),
        ([], {"NIGHTPROOF_DASHBOARD_TOKEN": "guess"}, "at least 16 printable"),
    ],
)
def test_what_cannot_be(np: Any, words: list[str], env: dict[str, str], told: str):
    """An address or a token that makes no sense ends it with what is wrong, before any night."""
    (np.folder / "nights.py").write_text(JOBS)
    ended = np("serve", "nights.py", "--port", "0", *words, **env)
    assert (ended.code, told in ended.err) == (2, True), ended.err
    assert "Traceback" not in ended.err
    assert not (np.folder / "environment").exists()


def test_without_its_packages_nights_go_on(nights: Any):
    """It says once what to install, and does its work."""
    child = subprocess.Popen(
        [sys.executable, "-c", WITHOUT, "serve", "nights.py", "--port", "0"],
        cwd=nights.folder, env=os.environ | nights.env, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    nights.children.append(child)
    told = "".join(lines(child, "completed"))
    assert told.count("pip install 'nightproof[web]'") == 1
    assert re.search(r"serving \(pid \d+\)", told)
    child.terminate()
    assert nights.ended(child).code == 0

"""The commands on a journal in Postgres with blobs in a bucket: nothing is a file there."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightproof.testing.servers import PostgresServer, S3Server

_numbers = itertools.count()
READING = """

@step
def reads(n: int) -> str:
    return Path(__file__).with_name("in.txt").read_text() * 100_000


@job
async def reading(contract: Work) -> str:
    return (await reads(contract.n))[:3]
"""


@pytest.fixture
def beyond(np: Any, postgres_server: PostgresServer, s3_server: S3Server) -> Any:
    """The command, with a database and a bucket in its environment."""
    name = f"beyond_{os.getpid()}_{next(_numbers)}"
    np.env |= {
        # By its name: somebody has to look that up, and that is nobody's read.
        "NIGHTPROOF_STORE": postgres_server.database(name).replace("127.0.0.1", "localhost"),
        "NIGHTPROOF_BLOBS": f"s3://{s3_server.bucket('beyond')}/{name}",
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
    }
    with (np.folder / "jobs.py").open("a") as file:
        file.write(READING)
    (np.folder / "in.txt").write_text("one")
    return np


def done(np: Any, *words: str, code: int = 0) -> Any:
    """A command with the exit code that is expected."""
    ran = np(*words)
    assert ran.code == code, ran.out + ran.err
    return ran


@pytest.mark.parametrize("level", ["L0", "L1", "L3"])
def test_our_own_servers_are_no_reads_of_the_job(beyond: Any, level: str):
    """At every level the job is held to what it reads itself, also under --strict."""
    if level == "L3" and shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    (beyond.folder / "nightproof.toml").write_text('files = ["in.txt"]\n')
    told = done(
        beyond,
        "run",
        "jobs.py:reading",
        beyond.contract(),
        "--isolate",
        level,
        "--json",
        "--strict",
    ).json
    assert told["result"] == "one"
    reads = done(beyond, "env", "reads", told["run"], "--json").json["reads"]
    assert [one["name"] for one in reads if one["undeclared"]] == []
    assert not (beyond.folder / ".nightproof" / "blobs").exists()


def test_a_sandbox_without_network_says_so(beyond: Any):
    """L2 cannot reach a server: one line, nothing begun."""
    ran = done(beyond, "run", "jobs.py:reading", beyond.contract(), "--isolate", "L2", code=2)
    assert "has no network" in ran.err or "bubblewrap" in ran.err
    secret = psycopg.conninfo.conninfo_to_dict(beyond.env["NIGHTPROOF_STORE"])["password"]
    assert str(secret) not in ran.err


def test_replicates_and_experiments(beyond: Any):
    """reproduce makes one, explain puts a file back that lies in the bucket."""
    told = done(beyond, "run", "jobs.py:reading", beyond.contract(), "--json").json
    (beyond.folder / "in.txt").write_text("two")
    done(beyond, "reproduce", told["run"], "--times", "1", "--json", code=3)
    found = done(beyond, "explain", told["run"], told["run"] + ".1", "--json", code=3).json
    assert found["verdicts"]["context"] == "proved by swap", json.dumps(found)
    assert found["cause"] == "context"


def test_no_command_shows_the_password(beyond: Any):
    """Nor does the journal keep it where it was given as an option."""
    url = beyond.env.pop("NIGHTPROOF_STORE")
    secret = str(psycopg.conninfo.conninfo_to_dict(url)["password"])
    name = done(beyond, "run", "jobs.py:reading", beyond.contract(), "--json", "--store", url).json[
        "run"
    ]
    for words in (["runs"], ["show", name], ["show", "none"], ["logs", name], ["doctor"], ["gc"]):
        ran = beyond(*words, "--store", url)
        assert secret not in ran.out + ran.err, words
    with psycopg.connect(url) as db:
        kept = db.execute("SELECT command FROM nightproof.boot").fetchall()
    assert kept
    assert secret not in json.dumps(kept)


def test_artifacts_are_beside_the_command(beyond: Any):
    """A database has no folder: artifacts are in .nightproof of the working folder, also at L1."""
    told = done(beyond, "run", "jobs.py:work", beyond.contract(), "--isolate", "L1", "--json").json
    [artifact] = told["artifacts"]
    path = beyond.folder / ".nightproof" / "artifacts" / told["run"] / "squares.txt"
    assert Path(artifact["path"]) == path
    assert path.read_text() == "0 1 4"
    done(beyond, "verify", told["run"])

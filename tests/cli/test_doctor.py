"""`doctor`: what is wrong with a store, its blobs or their URLs, in one line each."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import Any

import psycopg
import pytest

from nightproof.model import clock
from nightproof.stores.postgres import direct
from nightproof.testing.servers import PostgresServer, S3Server

_numbers = itertools.count()


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres_server.database(f"doctor_{os.getpid()}_{next(_numbers)}")


def findings(np: Any, code: int, *options: str) -> dict[str, tuple[str, str]]:
    """What doctor found, by what it looked at; nothing of it is more than a line."""
    ran = np("doctor", "--json", *options)
    assert ran.code == code, ran.out + ran.err
    found = ran.json["findings"]
    assert [one for one in found if "\n" in one["text"]] == []
    assert "hush" not in ran.out
    return {one["what"]: (one["state"], one["text"]) for one in found}


def problem(np: Any, store: str) -> str:
    """The one problem that doctor has with a store."""
    found = findings(np, 1, "--store", store)
    said = [text for state, text in found.values() if state == "problem"]
    assert len(said) == 1
    assert len(said[0]) < 400
    return said[0]


def test_a_healthy_server(np: Any, database: str):
    """Version, round trip, and what a file's journal is asked too."""
    np("run", "jobs.py:work", np.contract(), NIGHTPROOF_STORE=database)
    found = findings(np, 0, "--store", database)
    assert {"versions", "server", "journal", "owners", "boots", "blobs", "disk"} <= set(found)
    assert found["server"][0] == "ok"
    assert "Postgres" in found["server"][1]
    assert "ms" in found["server"][1]
    # The server of the tests does not sync; that is said.
    assert "fsync is off" in found["risk"][1]
    assert "clock" not in found
    password = psycopg.conninfo.conninfo_to_dict(database)["password"]
    assert str(password) not in np("doctor", "--store", database).out


def test_a_server_without_a_journal_is_no_problem(np: Any, database: str):
    """The first run writes it; doctor does not."""
    found = findings(np, 0, "--store", database)
    assert found["server"][0] == "ok"
    assert found["journal"][0] == "look"
    assert "no journal" in found["journal"][1]
    with psycopg.connect(database) as db:
        assert db.execute("SELECT to_regclass('nightproof.run')").fetchall() == [(None,)]


def test_what_is_wrong_with_a_store_is_said(np: Any, database: str):
    """Scheme, host, port, password, database: a line with what to do."""
    parts = psycopg.conninfo.conninfo_to_dict(database)
    there = f"{parts['host']}:{parts['port']}"
    me = f"postgres:{parts['password']}"
    for url, said in {
        "mysql://me:hush@db/x": "cannot open",
        "postgresql://me:hush@127.0.0.1:9/x": "Connection refused",
        "postgresql://me:hush@no-such-host.invalid/x": "no-such-host.invalid",
        f"postgresql://postgres:hush@{there}/postgres": "password authentication failed",
        f"postgresql://{me}@{there}/none": "does not exist",
        f"{database}?schema=No-Name": "no name for a schema",
    }.items():
        assert said in problem(np, url), url


def test_a_newer_schema_is_said(np: Any, database: str):
    """Another nightproof has been here."""
    np("run", "jobs.py:work", np.contract(), NIGHTPROOF_STORE=database)
    with psycopg.connect(database) as db:
        db.execute("INSERT INTO nightproof.migration (version) VALUES (99)")
    assert "schema version 99" in problem(np, database)


def test_a_missing_package_is_said(np: Any, monkeypatch: pytest.MonkeyPatch):
    """With the extra that has it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "nightproof[postgres]" in problem(np, "postgresql://me:hush@db/x")


def test_a_pooler_and_a_long_way_are_said(np: Any, database: str, monkeypatch: pytest.MonkeyPatch):
    """Both work, and both cost something."""
    np("run", "jobs.py:work", np.contract(), NIGHTPROOF_STORE=database)
    examine = direct.examine
    monkeypatch.setattr(
        direct, "examine", lambda url: examine(url)._replace(pooled=True, round_trip=0.08)
    )
    found = findings(np, 0, "--store", database)
    assert found["pooler"][0] == found["server"][0] == "look"
    assert "polled" in found["pooler"][1]
    assert "80.00 ms: every durable step waits" in found["server"][1]


class Ahead(clock.System):
    """A clock that is an hour fast."""

    def wall(self) -> float:  # type: ignore[override]
        return clock.System.wall() + 3600


def test_clocks_that_differ_are_said(np: Any, database: str):
    """By how much, and which way."""
    np("run", "jobs.py:work", np.contract(), NIGHTPROOF_STORE=database)
    with clock.use(Ahead()):
        found = findings(np, 0, "--store", database)
    assert found["clock"][0] == "look"
    assert "3600 s ahead of the database's" in found["clock"][1]


@pytest.fixture
def bucket(np: Any, s3_server: S3Server) -> str:
    """A bucket; its key is in the environment of the commands."""
    np.env |= {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_REGION": s3_server.region,
        "NIGHTPROOF_BLOBS": f"s3://{s3_server.bucket('doctor')}/{os.getpid()}/{next(_numbers)}",
    }
    return str(np.env["NIGHTPROOF_BLOBS"])


def test_blobs_in_a_bucket(np: Any, bucket: str):
    """How many, and how far away."""
    np("run", "jobs.py:work", np.contract())
    state, text = findings(np, 0)["blobs"]
    assert state == "ok"
    assert "1 blobs, " in text
    assert bucket in text


def test_what_is_wrong_with_a_bucket_is_said(np: Any, bucket: str):
    """Scheme, bucket, secret, endpoint, package: a line with what to do; exit 1."""
    np("run", "jobs.py:work", np.contract())
    good = dict(np.env)
    for changed, said in (
        ({"NIGHTPROOF_BLOBS": "ftp://b/x"}, "cannot open"),
        ({"NIGHTPROOF_BLOBS": "s3://no-such-bucket-here"}, "there is no bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "hush"}, "its secret is wrong"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the connection was refused"),
        ({"AWS_ENDPOINT_URL": "http://no-such-host.invalid"}, "name is not known"),
    ):
        np.env = good | changed
        state, text = findings(np, 1)["blobs"]
        assert state == "problem"
        assert said in text


def test_a_missing_package_for_blobs_is_said(np: Any, monkeypatch: pytest.MonkeyPatch):
    """With the extra that has it."""
    np("run", "jobs.py:work", np.contract())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    np.env["NIGHTPROOF_BLOBS"] = "s3://nights"
    assert "nightproof[objects]" in findings(np, 1)["blobs"][1]


SECOND = """
import sqlite3, sys
from nightproof.app import open_journal
from nightproof.config import Settings
journal = open_journal(Settings(store="sqlite:///" + sys.argv[1]))
journal.commit([])
other = sqlite3.connect(sys.argv[1]) if sys.argv[2] == "two" else None
if other:
    other.execute("SELECT count(*) FROM run").fetchall()
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("copies", ["one", "two"])
def test_a_second_copy_of_sqlite_in_a_process_is_seen(np: Any, copies: str):
    """Python's own sqlite3 on a journal that nightproof has open; one copy is as it should be."""
    np("run", "jobs.py:work", np.contract())
    path = str(np.folder / ".nightproof" / "journal.db")
    child = subprocess.Popen(
        [sys.executable, "-c", SECOND, path, copies], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        found = findings(np, 1 if copies == "two" else 0)
        if copies == "two":
            assert found["sqlite"][0] == "problem"
            assert f"process {child.pid} " in found["sqlite"][1]
        else:
            assert "sqlite" not in found
    finally:
        child.communicate(b"\n")

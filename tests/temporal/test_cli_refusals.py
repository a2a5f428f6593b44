"""Bad input to what runs on Temporal: one clear message, and nothing was started."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests.temporal.command import Place, contract

from nightproof.engines.temporal.address import Address, parse
from nightproof.errors import ConfigError

TEMPORAL = ("--engine", "temporal")


@pytest.fixture(scope="module")
def place(tmp_path_factory, temporal_server) -> Iterator[Place]:
    """A folder with jobs and no worker."""
    here = Place(tmp_path_factory.mktemp("refused"), temporal_server.url)
    yield here
    here.close()


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_server_that_is_not_there_is_one_line(place):
    """`run` and `worker` say what is wrong with the engine's URL, and doctor does."""
    away = f"temporal://127.0.0.1:{closed_port()}/default"
    for words in (("run", "jobs.py:work", contract()), ("worker", "jobs.py")):
        ended = place(*words, "--engine-url", away)
        assert ended.code == 1
        assert "nothing listens there" in ended.err
        assert "Traceback" not in ended.err
    examined = place("doctor", "--engine-url", away, "--json")
    engine = [one for one in examined.json["findings"] if one["what"] == "engine"]
    assert (examined.code, engine[0]["state"]) == (1, "problem")
    assert "\n" not in engine[0]["text"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("/default", "/nowhere"), "no namespace 'nowhere'"),
        (("?", "?tls=true&"), "does not speak TLS"),
    ],
)
def test_a_wrong_place_is_one_line(place, change, says):
    """A namespace that is not there, TLS where there is none."""
    ended = place("run", "jobs.py:work", contract(), "--engine-url", place.url.replace(*change))
    assert ended.code == 1
    assert says in ended.err
    assert not place.calls()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "jobs.py:work", contract(), "--engine", "dbos"), "'embedded' or 'temporal'"),
        (("run", "jobs.py:work", contract(), *TEMPORAL, "--isolate", "L1"), "--engine embedded"),
        (("run", "jobs.py:work", contract(), *TEMPORAL, "--store", "sqlite://:memory:"), "memory"),
        (("run", "jobs.py:work", contract(m=1), *TEMPORAL), "m: is not a field"),
        (("run", "jobs.py:nothing", contract(), *TEMPORAL), "nothing"),
        (("resume", "--all", *TEMPORAL), "--engine is for one run"),
        (("worker",), "no target was given"),
        (("worker", "nothing.py"), "no target could be loaded"),
        (("schedule", "deploy"), "no target was given"),
    ],
)
def test_bad_input_is_exit_2(place, words, says):
    """One message that names what is wrong; no step was called."""
    ended = place(*words)
    assert ended.code == 2, ended.err
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert not place.calls()


def test_an_address_is_read():
    """What is left out has its default; names may be quoted."""
    assert parse("temporal://db.example.com") == Address("db.example.com")
    assert parse("temporal://[::1]:7000/a%20b?task_queue=q&tls=true") == Address(
        "::1", 7000, "a b", "q", True
    )
    assert parse("temporal://[::1]:7000").target == "[::1]:7000"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://localhost:7233/default", "no temporal:// URL"),
        ("temporal://", "no temporal:// URL"),
        ("temporal://:7233", "names no host"),
        ("temporal://localhost:70000", "out of range"),
        ("temporal://localhost:0", "port 0"),
        ("temporal://localhost/a/b", "no namespace"),
        ("temporal://localhost/a#b", "#fragment"),
        ("temporal://localhost?queue=a", "no parameter 'queue'"),
        ("temporal://localhost?task_queue=", "wants one value"),
        ("temporal://localhost?task_queue=a&task_queue=b", "wants one value"),
        ("temporal://localhost?task_queue", "name=value"),
        ("temporal://localhost?tls=perhaps", "neither true nor false"),
        ("temporal://localhost?ca=/no/such.pem", "no such file"),
        (f"temporal://localhost?cert={__file__}", "key= is missing"),
        (f"temporal://localhost?tls=false&ca={__file__}", "certificates are given"),
        ("temporal://me:secret@localhost", "NIGHTPROOF_TEMPORAL_API_KEY"),
    ],
)
def test_a_wrong_address_is_one_line(url, says):
    """Each message names the part that is wrong, and never a password."""
    with pytest.raises(ConfigError) as raised:
        parse(url)
    assert says in f"{raised.value.message} {raised.value.hint}"
    assert "secret" not in str(raised.value)

"""``nightproof run --engine temporal`` and what is told to such runs, with real processes."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from tests.temporal.command import Place, contract

from nightproof.testing import servers

TEMPORAL = ("--engine", "temporal")


@pytest.fixture(scope="module")
def place(tmp_path_factory, temporal_server) -> Iterator[Place]:
    """A folder with jobs and a worker on them."""
    here = Place(tmp_path_factory.mktemp("place"), temporal_server.url)
    here.worker()
    yield here
    here.close()


@pytest.fixture
def alone(tmp_path, temporal_server) -> Iterator[Place]:
    """A folder with jobs and no worker."""
    here = Place(tmp_path, temporal_server.url)
    yield here
    here.close()


def test_a_run_ends_as_on_the_embedded_engine(place):
    """The same document and exit code on both engines: completed, and failed by an exception."""
    for fields, code in (({"n": 4}, 0), ({"n": 5, "boom": True}, 1)):
        there = place("run", "jobs.py:work", contract(**fields), *TEMPORAL, "--json")
        here = place(
            "run", "jobs.py:work", contract(**fields), "--engine", "embedded", "--json",
            NIGHTPROOF_STORE="sqlite:///other/journal.db",
        )  # fmt: skip
        assert (there.code, here.code) == (code, code), there.err
        left, right = there.json, here.json
        for document in (left, right):
            for artifact in document["artifacts"]:
                assert artifact.pop("path").endswith("squares.txt")
                assert bool(artifact.pop("manifest")) is (code == 0)
        if code:
            assert left["error"]["type"] == right["error"]["type"] == "ValueError"
            assert left["error"].pop("message") in right["error"].pop("message")
        assert left == right


def test_the_record_answers_without_a_worker(place):
    """A completed run is answered from the journal, on whatever engine it is asked for."""
    first = place("run", "jobs.py:work", contract(n=2), *TEMPORAL, "--json")
    calls = place.calls()
    nobody = f"{place.url}-nobody"
    again = place("run", "jobs.py:work", contract(n=2), "--engine-url", nobody, "--json")
    assert (first.code, again.code) == (0, 0)
    assert again.json["result"] == first.json["result"] == 1
    assert again.json["steps"]["executed"] == 0
    assert place.calls() == calls


def test_replicates_are_counted_on(place):
    """Each --replicate is a run of its own, with the next number."""
    names = [
        place("run", "jobs.py:work", contract(n=1), *TEMPORAL, "--replicate", "--json").json["run"]
        for _ in range(2)
    ]
    assert [name.rpartition(".")[2] for name in names] == ["1", "2"]


def test_a_parked_run_goes_on_by_itself(place):
    """Exit 75 while it waits for long; a signal lets the workers go on; watch sees the end."""
    parked = place("run", "jobs.py:waiting", contract(), *TEMPORAL, "--json")
    assert parked.code == 75, parked.err
    name = parked.json["run"]
    assert parked.json["status"] == "parked"
    assert "signal 'go'" in parked.json["error"]["message"]
    assert "by themselves" in parked.json["error"]["hint"]
    shown = place("show", name, "--json").json
    assert (shown["engine"], shown["run"]["status"]) == ("temporal", "parked")
    assert shown["next"].startswith(f"nightproof signal {name}")
    again = place("run", "jobs.py:waiting", contract(), *TEMPORAL)
    assert again.code == 75, again.err
    embedded = place("run", "jobs.py:waiting", contract(), "--engine", "embedded")
    assert embedded.code == 0, embedded.err
    assert "already running on Temporal" in embedded.err
    sent = place("signal", name, "go", '"tokyo"')
    assert (sent.code, "sent" in sent.out) == (0, True), sent.err
    watched = place("watch", name, "--json")
    assert (watched.code, watched.json["result"]) == (0, "heard tokyo")
    assert place.calls().count("0") >= 1


def test_an_effect_that_nobody_can_judge_is_decided(place):
    """A held effect parks the run; `resolve` pokes its workflow, which takes the decision."""
    held = place("run", "jobs.py:doubt", contract(n=71), *TEMPORAL, "--json")
    assert held.code == 75, held.err
    assert held.json["error"]["type"] == "EffectHeld"
    name = held.json["run"]
    assert "nightproof resolve" in place("show", name).out
    decided = place("resolve", name, "doubt/71", '"by phone"', "--happened")
    assert f"nightproof watch {name}" in decided.out, decided.err
    watched = place("watch", name, "--json")
    assert (watched.code, watched.json["result"]) == (0, "by phone")


def test_interrupting_the_client_leaves_the_run(place):
    """Ctrl-C says how to follow and to end the run; `cancel` ends it, items under way included."""
    given = contract(n=6, until="never.txt")
    client = place.start("run", "jobs.py:work", given, *TEMPORAL, "--json")
    place.until(lambda: "5" in place.calls())
    left = place.end(client, signal.SIGINT)
    assert left.code == 75, left.err
    name, hint = left.json["run"], left.json["error"]["hint"]
    assert f"nightproof watch {name}" in hint
    assert f"nightproof cancel {name}" in hint
    joined = place("run", "jobs.py:work", given, *TEMPORAL)
    assert joined.code == 0
    assert "already running on Temporal" in joined.err
    asked = place("cancel", name)
    assert (asked.code, "Temporal" in asked.out) == (0, True)
    watched = place("watch", name, "--json")
    assert (watched.code, watched.json["run"]["status"]) == (1, "cancelled")


def test_a_run_that_no_worker_has_begun_can_be_cancelled(alone):
    """Only Temporal knows of it: who leaves it is told, and the first worker ends it."""
    client = alone.start("run", "jobs.py:work", contract(n=3), *TEMPORAL, "--json")
    while "nobody works on" not in (client.stderr.readline() if client.stderr else ""):
        assert client.poll() is None
    left = alone.end(client, signal.SIGINT)
    assert left.code == 75, left.err
    name, error = left.json["run"], left.json["error"]
    assert "until a worker takes it up" in error["message"]
    assert "nightproof worker" in error["hint"]
    asked = alone("cancel", name, NIGHTPROOF_ENGINE="temporal")
    assert (asked.code, "asked Temporal" in asked.out) == (0, True), asked.err
    unknown = alone("cancel", "no-such-run", NIGHTPROOF_ENGINE="temporal")
    assert (unknown.code, "there is no run" in unknown.err) == (2, True)
    worker, _ = alone.worker()
    alone.until(lambda: alone("show", name).out.startswith(f"{name}  cancelled"))
    assert alone.calls() == []
    assert alone.end(worker, signal.SIGTERM).code == 0


def test_without_a_worker_it_says_so_and_waits(alone):
    """The command that starts a worker is named; the run goes on as soon as there is one."""
    client = alone.start("run", "jobs.py:work", contract(n=3), *TEMPORAL)
    assert client.stderr is not None
    told = [client.stderr.readline() for _ in range(3)]
    assert "workers have to be on this machine" in told[0]
    assert "nobody works on task queue" in told[1]
    assert told[2].strip() == f"nightproof worker {alone.folder}/jobs.py:work"
    alone.worker()
    ended = alone.end(client)
    assert ended.code == 0, ended.err
    assert "completed" in ended.out


def test_a_run_that_temporal_has_lost_goes_on(alone, temporal_server):
    """After its workflow is gone a run is not stranded: `signal` frees it, `resume` ends it."""
    worker, _ = alone.worker()
    parked = alone("run", "jobs.py:waiting", contract(), *TEMPORAL, "--json")
    assert parked.code == 75, parked.err
    name = parked.json["run"]

    async def lose(run: str) -> None:
        server = await Client.connect(temporal_server.address)
        await server.get_workflow_handle(f"nightproof/{run}").terminate("the server was wiped")

    asyncio.run(lose(name))
    doctor = alone("doctor", "--engine-url", alone.url)
    assert f"Temporal has no workflow of {name}" in doctor.out
    sent = alone("signal", name, "go", '"again"')
    assert f"nightproof resume {name}" in sent.err
    other = alone("run", "jobs.py:waiting", contract(n=9), *TEMPORAL, "--json").json["run"]
    asyncio.run(lose(other))
    assert alone("cancel", other).out.strip() == f"{other}  cancelled"
    assert alone.end(worker, signal.SIGTERM).code == 0
    resumed = alone("resume", name, "--engine", "embedded", "--json")
    assert (resumed.code, resumed.json["result"]) == (0, "heard again"), resumed.err
    assert alone.calls() == ["0", "0"]


def test_a_worker_drains_and_another_one_goes_on(alone):
    """SIGTERM: what is under way ends, the rest goes back; nothing is done twice."""
    first, told = alone.worker("jobs.py", "missing.py")
    assert [one["job"] for one in told["jobs"]] == ["doubt", "nightly", "waiting", "work"]
    assert [one["target"] for one in told["failed"]] == ["missing.py"]
    given = contract(n=300, until="open.txt")
    client = alone.start("run", "jobs.py:work", given, *TEMPORAL, "--json")
    alone.until(lambda: len(alone.calls()) > 20)
    first.send_signal(signal.SIGTERM)
    assert first.stderr is not None
    alone.until(lambda: "draining" in first.stderr.readline())
    (alone.folder / "open.txt").touch()
    assert alone.end(first).code == 0
    alone.worker()
    ended = alone.end(client)
    assert ended.code == 0, ended.err
    assert ended.json["result"] == sum(i * i for i in range(300))
    assert sorted(alone.calls(), key=int) == [str(i) for i in range(300)]


@pytest.mark.drill
def test_a_client_outlives_the_server(tmp_path):
    """The server is killed and started again, then wiped: runs end, nothing is done twice."""
    with servers.temporal(tmp_path / "server") as server:
        (tmp_path / "place").mkdir()
        place = Place(tmp_path / "place", server.url)
        try:
            place.worker()
            client = place.start(
                "run", "jobs.py:work", contract(n=6, until="open.txt"), *TEMPORAL, "--json"
            )
            place.until(lambda: "5" in place.calls())
            server.kill()
            assert client.stderr is not None
            place.until(lambda: "away" in client.stderr.readline())
            (place.folder / "open.txt").touch()
            server.start()
            ended = place.end(client)
            assert (ended.code, ended.json["result"]) == (0, 55), ended.err
            assert sorted(place.calls()) == [*"012345"]
            parked = place("run", "jobs.py:waiting", contract(), *TEMPORAL, "--json")
            assert parked.code == 75, parked.err
            server.kill()
            shutil.rmtree(server.folder)
            server.start()
            name = parked.json["run"]
            assert f"nightproof resume {name}" in place("signal", name, "go", '"anew"').err
            resumed = place("resume", name, "--json")
            assert (resumed.code, resumed.json["result"]) == (0, "heard anew"), resumed.err
            assert place("show", name, "--json").json["engine"] == "temporal"
        finally:
            place.close()


def test_files_that_are_gone_here_are_got_again(place):
    """A run on record whose files are not on this machine is answered with them."""
    first = place("run", "jobs.py:work", contract(n=7), *TEMPORAL, "--json").json
    (artifact,) = first["artifacts"]
    Path(artifact["path"]).unlink()
    again = place("run", "jobs.py:work", contract(n=7), *TEMPORAL, "--json")
    assert again.code == 0, again.err
    assert again.json["artifacts"] == first["artifacts"]
    assert again.json["steps"]["executed"] == 0
    assert place("verify", artifact["path"]).code == 0

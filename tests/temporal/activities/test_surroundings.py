"""Each worker's environment and reads are on record, and every reader knows of them."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from nightproof import Contract, job, step
from nightproof.engines.temporal import surroundings
from nightproof.model.states import Kind
from nightproof.views import open_run
from nightproof.views.environment import environment
from nightproof.views.environment import workers as workers_of
from nightproof.views.runs import summary
from nightproof.views.witness import witness


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


@step
async def look(name: str) -> str:
    """Reads a variable, and the file that it names."""
    return Path(os.environ[name]).read_text()


@step(pure=True)
def plain(n: int) -> int:
    """Reads nothing."""
    return n


@job
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    return 1


@pytest.fixture
def two_names(monkeypatch):
    """Lets the two workers of a test, which share a process, have names of their own."""

    def use(name):
        monkeypatch.setattr(surroundings, "worker", lambda: name)

    monkeypatch.setattr(surroundings, "SHORT_SECONDS", 30.0)  # on a busy machine a look takes long
    return use


async def work(one, two, use):
    """Both workers do something for one run."""
    use("first (pid 1)")
    await one.begin(main, Night())
    await one.call(plain, 1)
    use("second (pid 2)")
    two.head = one.head
    await two.call(plain, 2)


def test_every_worker_has_its_environment_on_record(workers, two_names):
    """Views, manifest and command show them all; the last one stands for the run."""

    async def test(one, two):
        await work(one, two, two_names)
        ask = {"head": one.head, "path": "x", "content": "x", "media_type": None, "fp": "ab" * 16}
        note = (await one.perform(one.activities.artifact, ask))["artifact"]
        (note,) = (await one.end(result="1", artifacts=[note]))["artifacts"]
        host = one.activities.host
        row = await open_run(host.journal, one.head["name"])
        found = await workers_of(host.journal, row)
        assert set(found) == {"first (pid 1)", "second (pid 2)"}
        snapshot = await environment(host.journal, host.blobs, row)
        assert found["second (pid 2)"].strict == snapshot.digests["strict"]
        shown = await summary(host.journal, row)
        assert set(shown.workers) == set(found)
        manifest = json.loads(Path(note["manifest"]).read_text())
        told = manifest["predicate"]["runDetails"]["metadata"]["environment"]
        assert [each["worker"] for each in told["workers"]] == sorted(found)

    workers.run(test, count=2)


def test_an_environment_that_differs_from_the_others_is_said(workers, two_names, monkeypatch):
    """As a divergence of the run, with what differs; an equal one is not worth a word."""

    async def test(one, two, three):
        await work(one, two, two_names)
        monkeypatch.setenv("TZ", "Asia/Tokyo")
        two_names("third (pid 3)")
        three.head = one.head
        from nightproof.provenance.snapshot import taking

        monkeypatch.setattr(taking, "_taken", {})  # the third one is a process of its own
        answer = await three.call(plain, 3)
        (found,) = answer["told"]["divergences"]
        assert found["message"].startswith("third (pid 3) works in another environment")
        assert {item["item"] for item in found["items"]} == {"tz", "variable/TZ"}

    workers.given["variables"] = ("TZ",)
    workers.run(test, count=3, warm=False)


def test_reads_of_every_worker_are_on_record_before_the_answer(workers, two_names, tmp_path):
    """With the step that read."""
    workers.given["witness"] = True
    for name in ("ONE_FILE", "TWO_FILE"):
        (tmp_path / name).write_text(name)
        os.environ[name] = str(tmp_path / name)

    async def test(one, two):
        await work(one, two, two_names)
        assert (await one.call(look, "ONE_FILE"))["ok"] == '"ONE_FILE"'
        two_names("second (pid 2)")
        calls = [two.call(look, "TWO_FILE"), two.call(look, "TWO_FILE", occurrence=1)]
        await asyncio.gather(*calls)
        host = one.activities.host
        row = await open_run(host.journal, one.head["name"])
        found = await witness(host.journal, host.blobs, row)
        names = {(read.what, read.name) for read in found.reads if read.step == "look"}
        for name in ("ONE_FILE", "TWO_FILE"):
            assert ("variable", name) in names
            assert ("file", str(tmp_path / name)) in names
        events = [json.loads(entry.output) for entry in await one.entries(Kind.EVENT)]
        assert {event["worker"] for event in events if event["kind"] == "witness"} >= {
            "second (pid 2)"
        }

    try:
        workers.run(test, count=2)
    finally:
        del os.environ["ONE_FILE"], os.environ["TWO_FILE"]


def test_strict_refuses_what_nothing_declares(workers, tmp_path, monkeypatch):
    """In the step that reads it, on whichever worker."""
    workers.given["witness"] = True
    (tmp_path / "x").write_text("x")
    monkeypatch.setenv("UNDECLARED_FILE", str(tmp_path / "x"))

    async def test(worker):
        await worker.begin(main, Night(), strict=True)
        answer = await worker.call(look, "UNDECLARED_FILE")
        assert answer["failed"]["type"] == "UndeclaredRead"

    workers.run(test)


def test_the_attempt_and_its_steps_are_spans(workers, monkeypatch):
    """Made by the worker that ends the run, from what the journal has."""
    trace = pytest.importorskip("opentelemetry.trace")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    ended = []

    class Kept(sdk.SpanProcessor):
        def on_end(self, span):
            ended.append(span)

    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Kept())
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)

    async def test(one, two):
        await one.begin(main, Night())
        await one.call(plain, 1)
        two.head = one.head
        error = {"type": "ValueError", "message": "no"}
        await two.end("failed", error=error)

    workers.run(test, count=2)
    below, run = ended
    assert (below.name, run.name) == ("step plain", "run main")
    assert below.parent.span_id == run.context.span_id
    assert run.start_time <= below.start_time <= below.end_time <= run.end_time
    assert run.attributes["nightproof.status"] == "failed"
    assert not run.status.is_ok

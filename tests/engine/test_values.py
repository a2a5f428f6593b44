"""What a job sees is what a resume sees: results, recorded values, seeds, files, blobs."""

import asyncio
import hashlib
import json
import math
import threading
from decimal import Decimal

import pytest
from pydantic import BaseModel

import nightproof
from nightproof import StepFailed, artifact, decide, job, measure, now, step, uuid
from nightproof.errors import MisuseError


class Row(BaseModel):
    country: str
    revenue: Decimal
    tags: set[str] = set()


def crashing(killed):
    """A step that dies in the first attempt, and the switch that lets it live."""
    alive = []

    @step(name="after")
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    return after, alive


def test_the_decoded_form_is_handed_on_live(night, killed, night_contract):
    """A tuple for a list, a float for an int: live and on replay the job sees the same."""
    after, alive = crashing(killed)
    seen = []

    @step
    async def rows() -> list[Row]:
        return [Row(country="JP", revenue=Decimal("1.10"), tags={"b", "a"})]

    @step
    async def number() -> float:
        return 1

    @step
    async def loose():
        return {"pair": (1, 2), "nan": math.nan}

    @job
    async def main(contract: night_contract) -> int:
        got = [await rows(), await number(), await loose()]
        seen.append((repr(got), type(got[1])))
        return await after()

    night.die(main)
    alive.append(1)
    night.value(main)
    assert seen[0] == seen[1]
    assert seen[0][1] is float
    assert "'pair': [1, 2]" in seen[0][0]


def test_a_large_result_that_changes_later_does_not_change_the_past(night, killed, night_contract):
    """As for a small one."""
    after, alive = crashing(killed)
    texts, seen = [], []

    @step
    async def big() -> list[str]:
        texts.append("x" * 70_000)
        return texts

    @job
    async def main(contract: night_contract) -> int:
        first = await big()
        texts.append("more")
        seen.append(len(first))
        return await after()

    night.die(main)
    alive.append(1)
    night.value(main)
    assert seen == [1, 1]


def test_a_result_that_changes_later_does_not_change_the_past(night, killed, night_contract):
    """A step returns a list that it goes on using: the job has its own copy, as on replay."""
    after, alive = crashing(killed)
    shared, seen = [], []

    @step
    async def add(n: int) -> list[int]:
        shared.append(n)
        return shared

    @job
    async def main(contract: night_contract) -> int:
        seen.append([await add(1), await add(2)])
        return await after()

    night.die(main)
    alive.append(1)
    night.value(main)
    assert seen[0][0] == [1]
    assert seen[0] == seen[1]


def test_an_unfit_result_fails_the_step(night, night_contract):
    """One clear failure that names step and annotation; no retries."""
    calls = []

    @step(name="fetch")
    async def fetch() -> int:
        calls.append(1)
        return "many"  # type: ignore[return-value]

    @job
    async def main(contract: night_contract) -> int:
        return await fetch()

    with pytest.raises(StepFailed) as caught:
        night.value(main)
    assert caught.value.type == "CodecError"
    assert "the result of step 'fetch' does not match its annotation int" in str(caught.value)
    assert calls == [1]


def test_an_unfit_result_of_the_job_fails_the_run(night, night_contract):
    """The job's own result is checked too."""

    @job(name="summary")
    async def main(contract: night_contract) -> int:
        return "many"  # type: ignore[return-value]

    outcome = night.run(main)
    assert outcome.status == "failed"
    assert "the result of job 'summary'" in str(outcome.error)


def test_recorded_values(night, killed, night_contract):
    """now() is recorded; uuid() and random() agree in every attempt and replicate."""
    after, alive = crashing(killed)
    seen = []

    @job
    async def main(contract: night_contract) -> list[str]:
        first, second = now(), now()
        assert first <= second
        values = [str(first), str(second), str(uuid()), str(uuid()), str(nightproof.random())]
        seen.append(values)
        await asyncio.sleep(0.3)  # recorded values are written with the next commit
        await after()
        return values

    night.die(main)
    alive.append(1)
    assert night.value(main) == seen[0]
    assert len(set(seen[0][2:])) == 3
    again = night.value(main, replicate=-1)
    assert again[2:] == seen[0][2:]
    assert again[0] != seen[0][0]
    assert night.value(main, night_contract(n=2))[2:] != seen[0][2:]


def test_recorded_values_need_a_jobs_body(night, night_contract):
    """In a step, and outside a run, the error says where to call them."""

    @step
    async def inside() -> str:
        return str(now())

    @job
    async def main(contract: night_contract) -> str:
        return await inside()

    with pytest.raises(StepFailed, match="inside step"):
        night.value(main)
    with pytest.raises(MisuseError, match="outside a run"):
        uuid()


def test_an_artifact_is_whole_and_made_good(night, killed, night_contract, tmp_path):
    """Written under its name in one go; rewritten when it is missing or was changed."""
    after, alive = crashing(killed)
    paths = []

    @job
    async def main(contract: night_contract) -> str:
        made = await artifact("out/report.md", "grün\n", media_type="text/markdown")
        paths.append(made.path)
        await artifact(str(tmp_path / "absolute.bin"), b"\x00\xff")
        await after()
        return made.sha256

    night.die(main)
    from pathlib import Path

    path = Path(paths[0])
    assert path.read_bytes() == "grün\n".encode()
    path.write_text("half")
    (tmp_path / "absolute.bin").unlink()
    alive.append(1)
    outcome = night.run(main)
    assert path.read_bytes() == "grün\n".encode()
    assert (tmp_path / "absolute.bin").read_bytes() == b"\x00\xff"
    assert outcome.value == hashlib.sha256("grün\n".encode()).hexdigest()
    assert outcome.artifacts[0]["sha256"] == outcome.value
    assert {entry.name for entry in path.parent.iterdir()} == {
        "report.md", "report.md.manifest.json",
    }  # fmt: skip
    again = night.run(main)
    assert [found["path"] for found in again.artifacts] == [
        str(path),
        str(tmp_path / "absolute.bin"),
    ]


def test_an_artifact_stays_in_its_folder(night, night_contract):
    """A relative path that climbs out is refused."""

    @job
    async def main(contract: night_contract) -> str:
        return (await artifact("../../out.md", "x")).path

    with pytest.raises(MisuseError, match="outside the run's folder"):
        night.value(main)


def test_notes_are_kept_from_steps_and_threads(night, night_contract):
    """measure and decide may be called anywhere in a run."""

    @step
    def work(n: int) -> int:
        measure("rows", n)
        return n

    @job
    async def main(contract: night_contract) -> int:
        decide("take the mirror", because="the API is down")
        return sum(await work.map([1, 2, 3]))

    outcome = night.run(main)
    assert sorted(note["value"] for note in night.notes(outcome.name, "measure")) == [1, 2, 3]
    (note,) = night.notes(outcome.name, "decision")
    assert (note["message"], note["because"]) == ("take the mirror", "the API is down")
    measure("outside", 1)
    with pytest.raises(MisuseError):
        measure("wrong", "1")


def test_threads_see_their_step(night, night_contract):
    """A plain step runs in a thread, and still knows its run."""
    seen = []

    @step
    def work() -> str:
        seen.append(threading.current_thread() is threading.main_thread())
        decide("in a thread", because="it is plain")
        return "done"

    @job
    async def main(contract: night_contract) -> str:
        return await work()

    outcome = night.run(main)
    assert (outcome.value, seen) == ("done", [False])
    assert json.dumps(night.notes(outcome.name, "decision"))

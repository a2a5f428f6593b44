"""What a job sees is what a resume sees: results, recorded values, seeds, files, blobs."""

import asyncio
import hashlib
import json
import math
import random
import sys
import threading
from decimal import Decimal
from importlib import import_module
from random import random as drawn
from random import shuffle

import pytest
from pydantic import BaseModel

import nightproof
from nightproof import (
    Ref,
    StepFailed,
    artifact,
    decide,
    effect,
    job,
    measure,
    now,
    step,
    uuid,
)
from nightproof.errors import MisuseError
from nightproof.stores.files import FileBlobs


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


def seeded(contract):
    """A job whose steps draw from the global generator in every way."""

    @step
    async def draws(n: int) -> list[float]:
        first = [random.random(), drawn(), random.gauss(0, 1), float(random.randint(0, 10**9))]
        await asyncio.sleep(0.001 * (5 - n))
        cards = list(range(20))
        shuffle(cards)
        random.shuffle(cards)
        return [*first, *cards, random.uniform(0, 1), *random.choices(range(99), k=3)]

    @step
    def draws_in_thread(n: int) -> list[float]:
        return [random.random(), drawn(), random.random()]

    @job
    async def main(contract: contract) -> list[list[float]]:
        mixed = await asyncio.gather(
            draws.map(range(5), concurrency=main.width), draws_in_thread.map(range(5))
        )
        return [*mixed[0], *mixed[1]]

    main.width = 5
    return main


def test_seeds_do_not_depend_on_order_or_interruption(night, killed, night_contract):
    """The same numbers at any concurrency, in replicates and in other stores."""
    main = seeded(night_contract)
    first = night.value(main)
    assert len({row[0] for row in first}) == 10
    main.width = 1
    random.seed(99)
    assert night.value(main, replicate=-1) == first
    assert night.value(main, night_contract(n=1)) != first


def test_seeds_do_not_leak(night, night_contract):
    """Outside a step the global generator goes on as the user seeded it."""
    main = seeded(night_contract)
    night.value(main)
    random.seed(5)
    expected = [random.random() for _ in range(3)]
    random.seed(5)
    got = [random.random()]
    night.value(main, night_contract(n=1))
    got += [random.random(), random.random()]
    assert got == expected
    assert random.Random(1).random() == random.Random(1).random()
    state = random.getstate()
    value = random.random()
    random.setstate(state)
    assert random.random() == value


def test_names_imported_before_are_seeded_in_other_modules(night, night_contract, tmp_path):
    """`from random import random` in a module that has only steps."""
    (tmp_path / "np_drawing.py").write_text(
        "from random import random, getrandbits, choice\n"
        "from nightproof import step\n"
        "@step\n"
        "async def draw(n: int) -> list[float]:\n"
        "    return [random(), getrandbits(32), choice(range(1000))]\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        draw = import_module("np_drawing").draw
    finally:
        sys.path.remove(str(tmp_path))

    @job
    async def main(contract: night_contract) -> list[list[float]]:
        return await draw.map([1, 2])

    assert night.value(main) == night.value(main, replicate=-1)


def test_a_step_may_seed_for_itself(night, night_contract):
    """random.seed inside a step stays inside it."""

    @step
    async def own(n: int) -> float:
        random.seed(n)
        await asyncio.sleep(0.001)
        return random.random()

    @job
    async def main(contract: night_contract) -> list[float]:
        return await own.map([1, 2])

    assert night.value(main) == [random.Random(1).random(), random.Random(2).random()]


def test_numpy_is_seeded_for_steps_that_do_not_overlap(night, night_contract):
    """Its generator is global to the process, so a sequence of steps is what can be promised."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")

    @step
    async def draw(n: int) -> float:
        return float(numpy.random.random())

    @job
    async def main(contract: night_contract) -> list[float]:
        return [await draw(n) for n in range(3)]

    assert night.value(main) == night.value(main, replicate=-1)


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


def blobs_of(tmp_path):
    """The blobs of values: every one but the attempt's snapshot."""
    store = FileBlobs(tmp_path / "blobs")
    found = [path for path in (tmp_path / "blobs" / "sha256").rglob("*") if path.is_file()]
    return [
        path
        for path in found
        if b'"snapshot":1' not in store.get(f"sha256:{path.parent.name}{path.stem}")
    ]


@pytest.mark.parametrize("harm", ["missing", "corrupt"])
@pytest.mark.parametrize("kind", [str, bytes, list])
def test_large_values_spill_and_are_verified(night, killed, night_contract, tmp_path, harm, kind):
    """The journal holds a reference; a blob that is gone or damaged makes the step run again."""
    after, alive = crashing(killed)
    calls = []
    make = {
        str: lambda: "ab" * 500_000,
        bytes: lambda: b"ab" * 500_000,
        list: lambda: list(range(200_000)),
    }

    @step
    async def large() -> kind:
        calls.append(1)
        return make[kind]()

    @job
    async def main(contract: night_contract) -> int:
        got = await large()
        assert type(got) is kind
        assert got == make[kind]()
        await after()
        return len(got)

    night.die(main)
    (blob,) = blobs_of(tmp_path)
    if harm == "missing":
        blob.unlink()
    else:
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 0xFF
        blob.write_bytes(data)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == len(make[kind]())
    assert len(calls) == 2
    (note,) = night.notes(outcome.name, "result-lost")
    assert "runs again" in note["message"]


@pytest.mark.parametrize("kind", [str, bytes, list])
def test_large_values_are_replayed(night, killed, night_contract, kind):
    """With their blob in place the step does not run again."""
    after, alive = crashing(killed)
    calls = []
    value = {str: "\u00fc" * 100_000, bytes: b"\xff" * 100_000, list: ["x"] * 40_000}[kind]

    @step
    async def large(n: int) -> kind:
        calls.append(n)
        return value

    @job
    async def main(contract: night_contract) -> bool:
        got = [await large(0), *await large.map([1, 2])]
        await after()
        return got == [value] * 3

    night.die(main)
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value is True
    assert sorted(calls) == [0, 1, 2]


def test_thirty_megabytes_cost_the_journal_a_reference(night, night_contract, tmp_path):
    """Result of a step and of the run; the journal file stays small."""

    @step
    async def large() -> bytes:
        return bytes(30_000_000)

    @job
    async def main(contract: night_contract) -> bytes:
        return await large()

    assert len(night.value(main)) == 30_000_000
    assert len(night.value(main)) == 30_000_000
    journal = sum(path.stat().st_size for path in tmp_path.glob("journal.db*"))
    assert journal < 300_000


def test_a_large_record_that_is_gone_says_what_to_do(night, night_contract, tmp_path):
    """A complete run whose result's blob is missing is worked out again from its steps."""
    calls = []

    @step
    async def work() -> int:
        calls.append(1)
        return 100_000

    @job
    async def main(contract: night_contract) -> str:
        return "x" * await work()

    name = night.run(main).name
    for blob in blobs_of(tmp_path):
        blob.unlink()
    outcome = night.run(main)
    assert outcome.error is None
    assert outcome.value == "x" * 100_000
    assert outcome.name == name
    assert calls == [1]


def test_refs_travel_by_digest(night, killed, night_contract, tmp_path):
    """A Ref is read where it is needed; its consumer's identity is the digest."""
    after, alive = crashing(killed)
    calls = []

    @step
    async def load() -> Ref[dict[str, int]]:
        calls.append("load")
        return Ref({"a": 1})

    @step
    async def use(table: Ref[dict[str, int]]) -> int:
        calls.append("use")
        return table.get()["a"]

    @job
    async def main(contract: night_contract) -> int:
        table = await load()
        got = await use(table)
        await after()
        return got + table.get()["a"]

    night.die(main)
    alive.append(1)
    assert night.value(main) == 2
    assert calls == ["load", "use"]
    assert len(blobs_of(tmp_path)) == 1


def test_a_ref_whose_blob_is_gone_is_loaded_again(night, killed, night_contract, tmp_path):
    """The step that made it runs again, and it is said."""
    after, alive = crashing(killed)
    calls = []

    @step
    async def load() -> Ref[str]:
        calls.append("load")
        return Ref("a" * 1000)

    @step
    async def use(text: Ref[str], again: bool) -> int:
        return len(text.get())

    @job
    async def main(contract: night_contract) -> int:
        text = await load()
        await after()
        return await use(text, True)

    night.die(main)
    for blob in blobs_of(tmp_path):
        blob.unlink()
    alive.append(1)
    outcome = night.run(main)
    assert outcome.value == 1000
    assert calls == ["load", "load"]
    assert night.notes(outcome.name, "result-lost")


def test_large_results_of_effects_and_children(night, killed, night_contract):
    """They spill as well, and are replayed."""
    after, alive = crashing(killed)
    acts = []

    @effect(key="k")
    async def act() -> str:
        acts.append(1)
        return "e" * 100_000

    @job
    async def child(contract: night_contract) -> str:
        return "c" * 100_000

    @job
    async def main(contract: night_contract) -> int:
        got = len(await act()) + len(await child(night_contract(n=1)))
        await after()
        return got

    night.die(main)
    alive.append(1)
    assert night.value(main) == 200_000
    assert acts == [1]


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

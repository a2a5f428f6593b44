"""Large values: spilled to blobs, verified on read, referred to by digest."""

import pytest

from nightproof import Ref, effect, job, step
from nightproof.stores.files import FileBlobs


def crashing(killed):
    """A step that dies in the first attempt, and the switch that lets it live."""
    alive = []

    @step(name="after")
    async def after() -> int:
        if not alive:
            raise killed
        return 0

    return after, alive


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

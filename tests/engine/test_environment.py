"""The environment of every attempt is on record, beside its steps and never in their way."""

import asyncio
import json
import threading
import time

import pytest

from nightproof import job, step
from nightproof.engines.attempt import environment
from nightproof.errors import BlobError, EnvironmentChanged, StoreFull
from nightproof.journal.records import RunFilter
from nightproof.model.states import Kind, RunStatus
from nightproof.provenance.snapshot import Snapshot, read, taking
from nightproof.stores.files import FileBlobs

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def another_process(monkeypatch):
    """Forget the snapshot that this process has taken, as a new one would not have it."""

    def forget():
        monkeypatch.setattr(taking, "_taken", {})

    forget()
    return forget


def failing(night_contract):
    """A job whose second step fails until it is allowed."""
    allowed, ran = [], []

    @step
    async def first() -> int:
        ran.append("first")
        return 1

    @step
    async def second(n: int) -> int:
        ran.append("second")
        if not allowed:
            raise TypeError("not yet")
        return n + 1

    @job
    async def main(contract: night_contract) -> int:
        return await second(await first())

    return main, allowed, ran


def test_the_snapshot_of_an_attempt_comes_after_its_first_step(
    night, night_contract, tmp_path, another_process
):
    """One event with three digests, and a blob with the items, which no collection takes."""

    @step
    async def first() -> int:
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await first()

    outcome = night.run(main)
    kinds = [entry.kind for entry in night.entries(outcome.name)]
    assert kinds == [Kind.RESULT, Kind.EVENT]
    (note,) = night.notes(outcome.name, "snapshot")
    kept = read(FileBlobs(tmp_path / "blobs").get(note["items"]))
    assert {name: note[name] for name in ("strict", "numeric", "host")} == kept.digests
    assert "code/test_environment.py" in kept.strict
    assert night.ask(lambda app: app.journal.referenced([note["items"]])) == {note["items"]}


def test_a_snapshot_that_is_waited_for_makes_way_no_more(
    night, night_contract, another_process, monkeypatch
):
    """It breathes beside the steps, and not while only its own run waits for it."""
    breaths = []
    begun = threading.Event()

    def capture(want, breathe):
        breathe()
        begun.set()
        seen = 0
        while len(breaths) > seen:
            seen = len(breaths)
            time.sleep(0.001)
            breathe()
        return Snapshot({}, {}, {})

    @job
    async def main(contract: night_contract) -> bool:
        return await asyncio.to_thread(begun.wait, 10)

    monkeypatch.setattr(environment.clock, "block", breaths.append)
    monkeypatch.setattr(taking, "capture", capture)
    outcome = night.run(main)
    assert outcome.value is True
    assert breaths
    assert night.notes(outcome.name, "snapshot")


def test_later_runs_of_a_process_take_the_same_one(
    night, night_contract, another_process, monkeypatch
):
    """It is taken and put once; every run has its own record of it."""
    taken = []
    plain = taking.capture
    monkeypatch.setattr(taking, "capture", lambda want, breathe: taken.append(want) or plain(want))

    @job
    async def main(contract: night_contract) -> int:
        return contract.n

    async def three(app):
        return [(await app.run(main, night_contract(n=n))).name for n in range(3)]

    names = night.ask(three)
    notes = [night.notes(name, "snapshot") for name in names]
    assert len(taken) == 1
    assert notes[0] == notes[1] == notes[2]
    assert [len(found) for found in notes] == [1, 1, 1]


def test_a_resume_elsewhere_records_what_is_new(
    night, night_contract, another_process, monkeypatch
):
    """The run goes on, and its log names the items that differ."""
    monkeypatch.setenv("TZ", "UTC")
    main, allowed, _ = failing(night_contract)
    name = night.run(main).name
    allowed.append(1)
    another_process()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    outcome = night.run(main)
    assert (outcome.value, outcome.replayed) == (2, 1)
    (note,) = night.notes(name, "environment-changed")
    assert note["items"] == [{"item": "tz", "a": "UTC", "b": "Asia/Tokyo"}]
    assert "tz (UTC -> Asia/Tokyo)" in note["message"]
    assert [found["message"] for found in outcome.divergences] == [note["message"]]
    assert len(night.notes(name, "snapshot")) == 2


def test_a_resume_in_the_same_environment_says_nothing(night, night_contract, another_process):
    """Two equal snapshots are no news."""
    main, allowed, _ = failing(night_contract)
    name = night.run(main).name
    allowed.append(1)
    another_process()
    assert night.value(main, strict=True) == 2
    assert night.notes(name, "environment-changed") == []
    assert len(night.notes(name, "snapshot")) == 2


def test_strict_refuses_another_environment(night, night_contract, another_process, monkeypatch):
    """Nothing runs, the run stays what it was, and the message names the item."""
    monkeypatch.setenv("TZ", "UTC")
    main, allowed, ran = failing(night_contract)
    name = night.run(main).name
    allowed.append(1)
    ran.clear()
    another_process()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    with pytest.raises(EnvironmentChanged, match=r"tz \(UTC -> Asia/Tokyo\)") as raised:
        night.run(main, strict=True)
    assert raised.value.exit_code == 2
    assert ran == []
    assert night.row(name).status is RunStatus.FAILED
    monkeypatch.setenv("TZ", "UTC")
    another_process()
    assert night.value(main, strict=True) == 2


def test_a_lost_snapshot_is_still_known_to_differ(
    night, night_contract, another_process, monkeypatch, tmp_path
):
    """The digest is in the journal; only the items are gone."""
    monkeypatch.setenv("TZ", "UTC")
    main, allowed, _ = failing(night_contract)
    name = night.run(main).name
    for blob in (tmp_path / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    allowed.append(1)
    another_process()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert night.value(main) == 2
    (note,) = night.notes(name, "environment-changed")
    assert (note["items"], note["count"]) == ([], 0)
    assert "was not kept" in note["message"]


@pytest.mark.parametrize("error", [StoreFull("no space"), BlobError("x"), OSError("no")])
def test_a_snapshot_that_fails_does_not_fail_the_run(
    night, night_contract, another_process, monkeypatch, error
):
    """The log says that there is none."""

    def refuse(self, data):
        raise error

    monkeypatch.setattr(FileBlobs, "put", refuse)
    main, allowed, _ = failing(night_contract)
    allowed.append(1)
    outcome = night.run(main)
    assert outcome.value == 2
    assert night.notes(outcome.name, "snapshot") == []
    (note,) = night.notes(outcome.name, "snapshot-failed")
    assert "not recorded" in note["message"]


def test_a_snapshot_that_hangs_does_not_hold_up_the_end(
    night, night_contract, another_process, monkeypatch
):
    """After its patience the attempt ends without one."""
    from threading import Event

    hang = Event()
    monkeypatch.setattr(environment, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(taking, "capture", lambda want, breathe: hang.wait(30))
    main, allowed, _ = failing(night_contract)
    allowed.append(1)
    try:
        outcome = night.run(main)
    finally:
        hang.set()
    assert outcome.status is RunStatus.COMPLETED
    assert night.notes(outcome.name, "snapshot") == []


def test_an_attempt_that_is_cancelled_by_its_caller_leaves_at_once(
    night, night_contract, another_process
):
    """The run can be resumed; nobody waits for the snapshot."""

    begun = []

    @step
    async def long() -> int:
        begun.append(1)
        await asyncio.sleep(30)
        return 1

    @job
    async def main(contract: night_contract) -> int:
        return await long()

    async def cut(app):
        task = asyncio.create_task(app.run(main, night_contract()))
        await night.until(lambda: begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        (row,) = await app.journal.runs(RunFilter())
        return row

    assert night.ask(cut).status is RunStatus.RUNNING


def test_a_journal_in_memory_takes_none(night, night_contract, tmp_path, monkeypatch):
    """It is gone with its process, and nothing is written to the disk."""
    monkeypatch.chdir(tmp_path)
    night.url = "sqlite://:memory:"
    main, allowed, _ = failing(night_contract)
    allowed.append(1)

    async def run(app):
        outcome = await app.run(main, night_contract())
        row = await app.journal.find(outcome.name)
        return await app.journal.entries(row.id, (Kind.EVENT,))

    notes = [json.loads(entry.output) for entry in night.ask(run)]
    assert [note for note in notes if note["kind"].startswith("snapshot")] == []
    assert list(tmp_path.iterdir()) == []

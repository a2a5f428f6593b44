"""How executions begin and end runs."""

import json
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from nightproof import Contract, artifact, job, step
from nightproof.engines.attempt import ending as endings
from nightproof.engines.temporal import patience
from nightproof.engines.temporal.activities import Activities
from nightproof.errors import ContractError, StepFailed, StoreBusy
from nightproof.journal.records import Owner, Wanted
from nightproof.model import identity
from nightproof.model.states import Kind

ran = []


class Night(Contract):
    """The contract of these tests."""

    task: str = "night"
    n: int = 0


def give_back(result: int, what: str) -> None:
    """Undoes a reservation."""
    ran.append(f"undo {what} {result}")
    if what == "broken":
        raise ValueError("cannot")


@step(undo=give_back)
async def reserve(what: str) -> int:
    """Can be undone."""
    ran.append(what)
    return len(ran)


@step
async def add(a: int, b: int) -> int:
    """Adds."""
    ran.append((a, b))
    return a + b


@job(normalise=["times"])
async def main(contract: Night) -> int:
    """Its body would run in a workflow."""
    await artifact("report.md", "text")
    return 1


@pytest.fixture(autouse=True)
def fresh():
    """Nothing has run."""
    ran.clear()


def events(entries, kind):
    """The lines of one kind in the log."""
    notes = [json.loads(entry.output) for entry in entries if entry.kind == Kind.EVENT]
    return [note for note in notes if note["kind"] == kind]


def test_begin_may_be_tried_again(workers):
    """The same attempt goes on, and its lines are in the log once."""

    async def test(worker):
        notes = {"fired": {"message": "by a schedule"}}
        first = await worker.begin(main, Night(), notes=notes)
        again = await worker.begin(main, Night(), notes=notes)
        assert again == first
        assert (first["before"], first["run"]["attempts"]) == (None, 1)
        entries = await worker.entries()
        assert (len(events(entries, "normalise")), len(events(entries, "fired"))) == (1, 1)

    workers.run(test)


def test_an_execution_that_goes_on_as_new_is_the_same_attempt(workers):
    """With the token of the one before; everything on record is in its index."""

    async def test(worker):
        first = await worker.begin(main, Night())
        await worker.call(add, 1, 2)
        token = first["run"]["token"]
        second = await worker.begin(main, Night(), started_ms=2000, token=token)
        assert (second["run"], second["before"]) == (first["run"], "running")
        (row,) = [row for row in second["index"] if row[2] == Kind.RESULT]
        assert (row[0], row[5], row[6]) == (worker.ask(add, 1, 2)["fp"], "3", None)
        assert ["add", add.code] in second["codes"].values()

    workers.run(test)


def test_a_later_execution_takes_over_an_earlier_one(workers):
    """Not the other way round, however late a message arrives."""

    async def test(worker):
        first = await worker.begin(main, Night())
        second = await worker.begin(main, Night(), started_ms=2000)
        assert second["run"]["token"] > first["run"]["token"]
        assert (second["before"], second["run"]["attempts"]) == ("running", 2)
        refused = (await worker.begin(main, Night(), started_ms=1000))["refused"]
        assert refused["type"] == "LeaseLost"
        other = (await worker.begin(main, Night(), workflow="elsewhere/it"))["refused"]
        assert (other["type"], other["run"]) == ("AlreadyRunning", second["run"]["name"])
        assert "workflow nightproof/it" in other["message"]

    workers.run(test)


@pytest.mark.parametrize("alive", [True, False])
def test_a_run_of_the_embedded_engine_is_taken_over_when_it_is_dead(workers, alive):
    """A live one is left alone."""

    async def test(worker):
        process = identity.here()._replace(**({} if alive else {"started": 1}))
        contract = Night()
        want = Wanted("main", contract.digest, contract.to_json().encode())
        await worker.activities.host.journal.claim(want, Owner(process, 1, 30_000))
        begun = await worker.begin(main, contract)
        if alive:
            assert begun["refused"]["type"] == "AlreadyRunning"
        else:
            assert (begun["before"], begun["run"]["attempts"]) == ("running", 2)

    workers.run(test)


def test_a_complete_run_is_answered_from_the_record(workers):
    """Nothing is claimed."""

    async def test(worker):
        await worker.begin(main, Night())
        await worker.end(result="12")
        begun = await worker.begin(main, Night(), started_ms=2000)
        recorded = begun["recorded"]
        assert (recorded["result"], recorded["from_record"]) == ("12", True)
        assert (await worker.activities.host.journal.find(recorded["name"])).attempts == 1

    workers.run(test)


def test_a_result_whose_blob_is_lost_is_worked_out_again(workers):
    """The run is opened again, and says why."""

    async def test(worker):
        await worker.begin(main, Night())
        await worker.call(add, 1, 2)
        ended = await worker.end(result=json.dumps("x" * 100_000))
        assert ended["result_blob"]
        blobs = worker.activities.host.blobs
        for blob in list(blobs.iterate()):
            blobs.delete(blob.digest)
        begun = await worker.begin(main, Night(), started_ms=2000)
        assert [row[2] for row in begun["index"]] == [Kind.RESULT]
        assert len(events(await worker.entries(), "result-lost")) == 1
        assert (await worker.end(result="1"))["status"] == "completed"

    workers.run(test)


def test_a_failed_run_is_opened_again(workers):
    """Its failures and what was undone are not on record any more, all else is."""

    async def test(worker):
        await worker.begin(main, Night())
        await worker.call(add, 1, 2)
        undo = await undoable(worker, "a room")
        error = endings.stored(StepFailed("x", "ValueError", "no", []))
        ended = await worker.end("failed", error=error, undoable=[undo])
        assert (ended["status"], ended["error"]["message"]) == ("failed", error["message"])
        assert ran == [(1, 2), "a room", "undo a room 2"]
        begun = await worker.begin(main, Night(), started_ms=2000)
        assert (begun["before"], begun["undone"]) == ("failed", [])
        assert [row[0] for row in begun["index"]] == [worker.ask(add, 1, 2)["fp"]]
        # Tried again, it still knows what it found.
        assert (await worker.begin(main, Night(), started_ms=2000))["before"] == "failed"
        assert (await worker.call(reserve, "a room"))["executed"] is True
        assert (await worker.call(add, 1, 2))["executed"] is False

    workers.run(test)


async def undoable(worker, what):
    """Reserve something; how it is undone."""
    answer = await worker.call(reserve, what)
    ask = worker.ask(reserve, what)
    assert answer["fp"] == ask["fp"]
    return {name: ask[name] for name in ("step", "module", "args", "fp")}


def test_a_worker_remembers_nothing_of_the_steps_that_it_ran(workers):
    """A run may have millions of them; what can be undone is the workflow's to know."""

    async def test(worker):
        await worker.begin(main, Night())
        for what in ("one", "two"):
            await worker.call(reserve, what)
        await worker.chunk(reserve, ["three", "four"])
        (run,) = worker.activities._runs.values()
        held = (run.undoable, run.divergences, run.executed_inputs, run.ledger.recorded)
        assert not any(held)

    workers.run(test)


def test_undoing_goes_on_where_it_was(workers, monkeypatch):
    """What is undone already is left alone; what cannot be undone is said."""

    async def test(worker):
        await worker.begin(main, Night())
        undos = [await undoable(worker, what) for what in ("one", "broken", "two")]
        error = {"type": "ValueError", "message": "no"}
        journal = worker.activities.host.journal
        commit, allowed = journal.commit, [2]

        def limited(batches):
            if any(entry.kind == Kind.UNDONE for batch in batches for entry in batch.entries):
                allowed[0] -= 1
                if not allowed[0]:
                    raise StoreBusy("away")
            return commit(batches)

        with monkeypatch.context() as patch:
            patch.setattr(journal, "commit", limited)
            patch.setattr(patience, "PATIENCE_SECONDS", 0.0)
            with pytest.raises(ApplicationError, match="away"):
                await worker.end("failed", error=error, undoable=undos)
        ran.clear()
        ended = await worker.end("failed", error=error, undoable=undos)
        assert ran == ["undo broken 2", "undo one 1"]
        assert ended["error"]["undo"] == ["undo of step 'reserve' failed: cannot"]

    workers.run(test)


def test_a_cancelled_run_is_cancelled(workers):
    """Without undoing anything."""

    async def test(worker):
        await worker.begin(main, Night())
        ended = await worker.end("cancelled", undoable=[await undoable(worker, "a room")])
        assert ended["status"] == "cancelled"
        assert ran == ["a room"]
        row = await worker.activities.host.journal.find(worker.head["name"])
        assert (str(row.status), row.owner) == ("cancelled", None)

    workers.run(test)


def test_results_that_nobody_asked_for_are_divergences(workers):
    """With the call of this attempt that is nearest; not where a step performed the effect."""

    async def test(worker):
        await worker.begin(main, Night())
        await worker.call(add, 1, 2)
        begun = await worker.begin(main, Night(), started_ms=2000)
        await worker.call(add, 1, 3)
        unasked = [row[1] for row in begun["index"]]
        ended = await worker.end(
            result="1", resumed=True, unasked=unasked, last_seq=begun["last_seq"]
        )
        (found,) = ended["divergences"]
        assert found["arguments"] == [{"argument": "b", "recorded": 2, "now": 3}]
        assert events(await worker.entries(), "divergence")

    workers.run(test)


def test_artifacts_have_manifests_and_blobs(workers, tmp_path):
    """A worker on another machine can end the run, and the client gets all files."""

    async def test(one, two):
        await one.begin(main, Night())
        await one.call(add, 1, 2)
        ask = {"head": one.head, "path": "a/report.md", "content": "text", "media_type": None}
        ask["fp"] = "ab" * 16
        answer = await one.perform(one.activities.artifact, ask)
        assert await one.perform(one.activities.artifact, ask) == answer
        note = answer["artifact"]
        assert (note["name"], Path(note["path"]).read_text()) == ("a/report.md", "text")
        Path(note["path"]).unlink()
        two.head = one.head
        ended = await two.end(result="1", artifacts=[note])
        (note,) = ended["artifacts"]
        assert Path(note["path"]).read_text() == "text"
        blobs = one.activities.host.blobs
        assert blobs.get(note["blob"]) == b"text"
        manifest = json.loads(blobs.get(note["manifest_blob"]))
        assert manifest == json.loads(Path(note["manifest"]).read_text())
        assert manifest["subject"][0]["name"] == "a/report.md"
        recorded = (await one.begin(main, Night(), started_ms=2000))["recorded"]
        assert recorded["artifacts"][0]["manifest"] == note["manifest"]

    workers.run(test, count=2)


def test_the_worker_that_ends_a_run_may_have_another_folder(workers, tmp_path):
    """It puts the files there, with their manifests."""

    async def test(one, two):
        await one.begin(main, Night())
        ask = {"head": one.head, "path": "a/report.md", "content": "text", "media_type": None}
        note = (await one.perform(one.activities.artifact, {**ask, "fp": "ab" * 16}))["artifact"]
        two.head, two.activities.host.artifacts_root = one.head, tmp_path / "elsewhere"
        (found,) = (await two.end(result="1", artifacts=[note]))["artifacts"]
        assert Path(found["path"]) == tmp_path / "elsewhere" / one.head["name"] / "a/report.md"
        assert Path(found["path"]).read_text() == "text"
        manifest = json.loads(Path(found["manifest"]).read_text())
        assert manifest["subject"][0]["name"] == "a/report.md"

    workers.run(test, count=2)


def test_an_artifact_outside_the_runs_folder_is_refused(workers):
    """As on the embedded engine."""

    async def test(worker):
        await worker.begin(main, Night())
        ask = {"head": worker.head, "path": "../x", "content64": "", "media_type": None}
        answer = await worker.perform(worker.activities.artifact, {**ask, "fp": "ab" * 16})
        assert answer["refused"]["type"] == "MisuseError"

    workers.run(test)


def test_inputs_that_are_not_what_the_contract_says_fail_a_new_run(workers):
    """A store that is away does not."""
    trouble = [StoreBusy("away"), ContractError("another dataset")]

    async def verify(contract):
        assert contract == Night()
        raise trouble.pop(0)

    async def test(worker):
        host = worker.activities.host
        worker.activities = Activities(
            host.journal, host.blobs, host.settings, host.artifacts_root, {"main": main},
            verify=verify,
        )  # fmt: skip
        with pytest.raises(Exception, match="away"):
            await worker.begin(main, Night())
        refused = (await worker.begin(main, Night()))["refused"]
        assert (refused["type"], refused["message"]) == ("ContractError", "another dataset")
        (row,) = await host.journal.runs(apps_filter())
        assert (str(row.status), row.owner) == ("failed", None)

    workers.run(test)


def apps_filter():
    """All runs."""
    from nightproof.journal.records import RunFilter

    return RunFilter()

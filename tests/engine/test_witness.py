"""What an attempt reads is on record, with the step that read it, and refused under strict."""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from read_on_record import digest, one_step, recorded

from nightproof import artifact, job, step
from nightproof.durable.context import current
from nightproof.engines.attempt import witnessing
from nightproof.model.states import RunStatus
from nightproof.provenance.witness import witnessed
from nightproof.stores.files import FileBlobs

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def reads(night):
    """Run a job, then everything that its run is known to have read, by name."""

    def run(main, contract=None, **more):
        outcome = night.run(main, contract, **more)
        assert outcome.status is RunStatus.COMPLETED, outcome.error
        return {read.name: read for read in recorded(night, outcome.name)}

    return run


def test_a_file_is_read_by_its_step(reads, night_contract, tmp_path):
    """In a thread or on the loop: with digest, size, the step and its content; only once."""
    path = tmp_path / "rates.json"
    path.write_bytes(b"{}")

    def load(names: list[str]) -> int:
        for _ in range(3):
            with open(path) as file:
                file.read()
        return len(path.read_bytes())

    async def load_async(names: list[str]) -> int:
        return len(path.read_text())

    for function in (load, load_async):
        main = one_step(night_contract, function)
        found = reads(main, night_contract(n=len(function.__name__)))
        read = found.pop(str(path))
        assert found == {}
        assert (read.what, read.step, len(read.fp), read.by) == ("file", "load", 32, "own")
        assert (read.digest, read.size, read.declared) == (digest(b"{}"), 2, "")
        assert read.undeclared
        assert FileBlobs(tmp_path / "blobs").get(read.kept) == b"{}"


def test_the_body_and_items_of_a_map_are_told_apart(night, night_contract, tmp_path):
    """Each call of a step by its fingerprint, and one entry for the rest of very many."""
    path = tmp_path / "config"
    path.write_bytes(b"1")

    @step(name="item")
    async def item(n: int) -> int:
        return len(path.read_bytes()) + n

    @job
    async def main(contract: night_contract) -> int:
        os.environ.get("NOT_SET_ANYWHERE")
        return sum(await item.map(range(contract.n)))

    found = recorded(night, night.run(main, night_contract(n=30)).name)
    body = [read for read in found if not read.step]
    assert [(read.what, read.name, read.digest) for read in body] == [
        ("variable", "NOT_SET_ANYWHERE", None)
    ]
    items = [read for read in found if read.step == "item"]
    assert len(items) == len({read.fp for read in items}) == 21
    assert items[-1].fp == ""
    assert {read.digest for read in items} == {digest(b"1")}


def test_variables_by_name_and_by_copy(reads, night_contract, monkeypatch, tmp_path):
    """Of a secret only that it is set; what is read with all others is not undeclared."""
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("API_TOKEN", "s3cret")
    monkeypatch.setenv("OTHER", "1")
    monkeypatch.setenv("APP_MODE", "fast")

    def load(names: list[str]) -> int:
        every = dict(os.environ)
        assert list({**os.environ}) == list(every)
        assert [name for name, _ in os.environ.items()] == list(every)
        return len((os.environ["REGION"], os.environ.get("API_TOKEN"), os.getenv("APP_MODE")))

    found = reads(one_step(night_contract, load), variables=("APP_*",))
    assert (found["REGION"].digest, found["REGION"].declared) == (digest(b"eu"), "")
    assert FileBlobs(tmp_path / "blobs").get(found["REGION"].kept) == b"eu"
    assert (found["API_TOKEN"].digest, found["API_TOKEN"].kept) == ("withheld", None)
    assert found["API_TOKEN"].undeclared
    assert found["OTHER"].declared == "copy of the environment"
    assert found["APP_MODE"].declared == "setting variables"
    undeclared = {name for name, read in found.items() if read.undeclared}
    assert undeclared == {"REGION", "API_TOKEN"}


def test_what_a_run_writes_is_its_own(reads, night_contract, tmp_path, monkeypatch):
    """Files, replaced files, whole folders, databases and variables that it has made itself."""
    monkeypatch.setenv("SET_INSIDE", "before")
    monkeypatch.chdir(tmp_path)

    def load(names: list[str]) -> int:
        Path("new.txt").write_text("1")
        Path("draft").write_text("2")
        Path("draft").replace("final")
        Path("made/below").mkdir(parents=True)
        subprocess.run(["/bin/sh", "-c", "echo 3 > made/below/by-another"], check=True)
        with sqlite3.connect(tmp_path / "own.db") as db:
            db.execute("create table t (a)")
        db.close()
        os.environ["SET_INSIDE"] = "inside"
        texts = [Path(name).read_text() for name in ("new.txt", "final", "made/below/by-another")]
        return len(texts) + len(list(Path("made").iterdir())) + len(os.environ["SET_INSIDE"])

    @job
    async def main(contract: night_contract) -> int:
        made = await artifact("report.txt", "4")
        load([])
        return len(Path(made.path).read_text())

    found = reads(main)
    assert set(found) == {found_name for found_name in found if "sh" in found_name}
    assert [read.what for read in found.values()] == ["program"]


def test_a_file_is_recorded_as_it_was_when_it_was_read(reads, night_contract, tmp_path):
    """Although the same step writes it, replaces it, removes it or adds to its folder."""
    names = ["written", "replaced", "removed", "appended"]
    folder = tmp_path / "state"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"before")

    def load(given: list[str]) -> int:
        assert len(list(folder.iterdir())) == 4
        for name in names[:3]:
            (folder / name).read_bytes()
        with open(folder / "appended", "r+b") as both:
            both.write(b"after, and longer")
        (folder / "written").write_bytes(b"after")
        (folder / "new").write_bytes(b"after")
        (folder / "new").replace(folder / "replaced")
        (folder / "removed").unlink()
        return len((folder / "written").read_bytes())

    found = reads(one_step(night_contract, load))
    for name in names:
        assert found[str(folder / name)].digest == digest(b"before"), name
    assert found[str(folder)].size == 4


def test_a_cache_that_is_not_there_yet(reads, night_contract, tmp_path):
    """The first run found nothing: null digest and null size, whatever it then wrote."""
    path = tmp_path / "caches" / "rates"

    def load(names: list[str]) -> int:
        try:
            return len(path.read_bytes())
        except FileNotFoundError:
            path.parent.mkdir()
            path.write_bytes(b"fetched")
            return len(path.read_bytes())

    found = reads(one_step(night_contract, load))
    read = found[str(path)]
    assert (read.digest, read.size, read.undeclared) == (None, None, True)


def test_hosts_by_name(reads, night_contract):
    """The name that was looked up, not the address that was found; also on the event loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    @step(name="ask")
    async def ask() -> int:
        _, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        writer.close()
        await writer.wait_closed()
        return 1

    @step
    def ask_address() -> int:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.2", 1))

    @job
    async def main(contract: night_contract) -> int:
        return await ask() + await ask_address()

    with listener:
        found = reads(main, hosts=("localhost",))
    assert found[f"localhost:{port}"].step == "ask"
    assert found[f"localhost:{port}"].declared == "setting hosts"
    assert {"127.0.0.2:1", f"localhost:{port}"} == set(found)


def test_programs(reads, night_contract, tmp_path):
    """The file that was started, with its digest; Python itself is the interpreter."""
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    def load(names: list[str]) -> int:
        return subprocess.run([program], check=True).returncode

    found = reads(one_step(night_contract, load), programs=("to*",))
    read = found[str(program)]
    assert (read.what, read.declared) == ("program", "setting programs")
    assert read.digest == digest(b"#!/bin/sh\n")


def levels(night, name):
    """The witness's levels of a run's attempts."""

    async def find(app):
        row = await app.journal.find(name)
        return (await witnessed(app.journal, app.blobs, row.id)).levels

    return night.ask(find)


def test_an_attempt_that_reads_nothing_was_witnessed_too(night, night_contract):
    """No entry for it, but its level is known; without a witness there is none."""

    @job
    async def main(contract: night_contract) -> int:
        return contract.n

    quiet = night.run(main)
    assert night.notes(quiet.name, "witness") == []
    assert levels(night, quiet.name) == {1: "L0"}
    blind = night.run(main, night_contract(n=2), witness=False)
    assert levels(night, blind.name) == {}


def test_many_reads_go_to_a_blob_and_are_noted_as_they_come(
    night, night_contract, tmp_path, monkeypatch
):
    """While the attempt runs, so that a crash loses little; each once."""
    monkeypatch.setattr(witnessing, "EVERY_SECONDS", 0.01)
    paths = [tmp_path / f"{n}.txt" for n in range(700)]
    for path in paths:
        path.write_text(path.name)
    noted = asyncio.Event()

    @step
    async def load() -> int:
        return sum(len(path.read_bytes()) for path in paths)

    @job
    async def main(contract: night_contract) -> int:
        size = await load()
        await noted.wait()
        return size + len(paths[0].read_bytes())

    def watch(run):
        def note(kind, data, note=run.note):
            note(kind, data)
            if kind == "witness":
                noted.set()

        run.note = note

    outcome = night.run(main, watch=watch)
    notes = night.notes(outcome.name, "witness")
    assert [(bool(note["blob"]), len(note["reads"] or ())) for note in notes] == [
        (True, 0),
        (False, 1),
    ]
    assert "read 700 files; undeclared: " in notes[0]["message"]
    found = {read.name: read for read in recorded(night, outcome.name)}
    assert {str(path) for path in paths} == set(found)
    assert found[str(paths[7])].digest == digest(b"7.txt")


def test_threads_without_a_step_are_not_taken_for_a_run(reads, night_contract, tmp_path):
    """In a library's process a thread may be anybody's: it is not recorded, and that is said."""
    path = tmp_path / "config"
    path.write_bytes(b"1")

    def load(names: list[str]) -> int:
        with ThreadPoolExecutor(1) as pool:
            return len(pool.submit(path.read_bytes).result())

    assert reads(one_step(night_contract, load)) == {}


def test_a_forked_child_waits_for_no_thread_of_its_parent(reads, night_contract, tmp_path):
    """A thread may be sorting what was heard just when a step forks."""
    ends = []

    def load(names: list[str]) -> int:
        held, let_go = threading.Event(), threading.Event()
        heard = current.get().runtime.heard

        def hold():
            with heard._lock:
                held.set()
                let_go.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(5)
            (tmp_path / "made-by-child").write_text("1")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        let_go.set()
        thread.join()
        ends.append(status)
        return 1

    assert reads(one_step(night_contract, load)) == {}
    assert ends == [0]

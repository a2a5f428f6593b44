"""What the decorators accept, and what they are outside a run."""

import asyncio
import sqlite3
from datetime import datetime, timedelta

import pytest

from nightproof import (
    Contract,
    Ref,
    Retry,
    artifact,
    effect,
    expect,
    idempotency_key,
    job,
    now,
    once,
    sleep_until,
    step,
    wait_for,
)
from nightproof.errors import BlobError, CodecError, ExpectationFailed, MisuseError


def test_outside_a_run_steps_and_effects_are_ordinary_calls():
    """Unit tests need nothing; `.fn` is the undecorated function."""

    @step(retry=Retry(attempts=3), timeout=5)
    def double(n: int) -> int:
        """Twice as much."""
        return 2 * n

    @effect(key="k/{n}")
    async def act(n: int) -> int:
        return n

    @job
    async def main(contract: Contract) -> int:
        return await double(4)

    async def calls():
        streamed = [n async for n in double.stream([1, 2])]
        return [await double(1), await act(3), await double.map([1, 2]), streamed]

    assert asyncio.run(calls()) == [2, 3, [2, 4], [2, 4]]
    assert double.fn(5) == 10
    assert double.__doc__ == "Twice as much."
    assert asyncio.run(main(Contract(task="x"))) == 8


@pytest.mark.parametrize(
    "make",
    [
        lambda: step(timeout=0)(len),
        lambda: step(expires=timedelta(0))(len),
        lambda: step(pure=True, undo=print)(len),
        lambda: effect(key="{b}")(lambda a: a),
        lambda: effect(key="k", unknown="perhaps")(lambda a: a),  # type: ignore[arg-type]
        lambda: job(lambda contract: contract),  # type: ignore[arg-type, return-value]
        lambda: job(deadline=-1)(_plain),
        lambda: job(_two),
    ],
    ids=str.split("timeout expires pure key unknown plain deadline parameters"),
)
def test_nonsense_is_refused_where_it_is_written(make):
    """Decorators check what they are given, not the first run at night."""
    with pytest.raises(MisuseError):
        make()


async def _plain(contract: Contract) -> None: ...


async def _two(a: Contract, b: int) -> None: ...


def test_what_needs_a_run_says_so():
    """Each names itself and where it belongs."""
    for call in (now, lambda: asyncio.run(artifact("a", "b")), lambda: asyncio.run(wait_for("x"))):
        with pytest.raises(MisuseError, match="outside a run"):
            call()
    with pytest.raises(MisuseError, match="outside an effect"):
        idempotency_key()
    with pytest.raises(MisuseError, match="no zone"):
        asyncio.run(sleep_until(datetime(2026, 1, 1)))  # noqa: DTZ001 - what has to be refused
    with pytest.raises(ExpectationFailed, match="nothing"):
        expect([], "nothing")
    expect([1], "nothing")


def test_a_contract_annotation_is_needed():
    """The job's parameter says which contract it takes."""

    @job
    async def main(contract) -> int:  # type: ignore[no-untyped-def]
        return 1

    with pytest.raises(MisuseError, match="annotate its parameter"):
        _ = main.contract_type


def test_an_annotation_that_cannot_be_resolved():
    """A name imported for type checkers only."""

    @step
    async def fetch(a: "Missing") -> int:  # type: ignore[name-defined]  # noqa: F821
        return 1

    with pytest.raises(CodecError, match="cannot be resolved"):
        _ = fetch.arguments


def test_a_ref_outside_a_run():
    """A fresh one hands back its value; its text shows that it is new."""
    ref = Ref([1, 2])
    assert ref.get() == [1, 2]
    assert repr(ref) == "Ref(new)"
    assert ref == Ref([1, 2])
    stored = Ref._stored("sha256:" + "0" * 64, 3, list[int])
    with pytest.raises(BlobError, match="outside a run"):
        stored.get()


@pytest.fixture
def database(tmp_path):
    """A user's own database."""
    connection = sqlite3.connect(tmp_path / "user.db")
    connection.execute("CREATE TABLE rows (n INTEGER)")
    connection.commit()
    yield connection
    connection.close()


def test_once_commits_with_the_users_rows(database):
    """True the first time; a rollback takes the key back together with the rows."""
    assert once(database, "a")
    database.execute("INSERT INTO rows VALUES (1)")
    database.rollback()
    assert once(database, "a")
    database.execute("INSERT INTO rows VALUES (1)")
    database.commit()
    assert not once(database, "a")
    assert once(database, "b")
    database.commit()
    assert database.execute("SELECT count(*) FROM rows").fetchone() == (1,)


def test_once_needs_a_transaction(tmp_path, database):
    """On a connection that commits every statement nothing could commit together."""
    loose = sqlite3.connect(tmp_path / "user.db", isolation_level=None)
    with pytest.raises(MisuseError, match="transaction"):
        once(loose, "a")
    loose.execute("BEGIN")
    assert once(loose, "a")
    loose.execute("COMMIT")
    loose.close()
    with pytest.raises(MisuseError, match="non-empty"):
        once(database, "")


def test_once_on_async_connections():
    """psycopg's form is awaited, with its own placeholders."""
    executed = []

    class Cursor:
        rowcount = 1

    class Connection:
        autocommit = False

        async def execute(self, query, values=()):
            executed.append((query, values))
            return Cursor()

    assert asyncio.run(once(Connection(), "k")) is True
    assert "%s" in executed[-1][0]
    assert executed[-1][1][0] == "k"


def test_run_and_run_sync(tmp_path, monkeypatch, night_contract):
    """The ways in for users: results, errors, replicates; the store from argument or environment."""
    calls = []

    @step
    async def work(n: int) -> int:
        calls.append(n)
        return n + 1

    @job
    async def main(contract: night_contract) -> int:
        return await work(contract.n)

    store = f"sqlite:///{tmp_path / 'a.db'}"
    assert main.run_sync(night_contract(n=1), store=store) == 2
    assert asyncio.run(main.run(night_contract(n=1), store=store)) == 2
    assert calls == [1]
    assert main.run_sync(night_contract(n=1), store=store, replicate=True) == 2
    assert calls == [1, 1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NIGHTPROOF_STORE", "sqlite:///b.db")
    assert main.run_sync(night_contract(n=1)) == 2
    assert (tmp_path / "b.db").exists()
    assert calls == [1, 1, 1]


def test_two_jobs_in_one_loop_share_a_store(tmp_path, night_contract):
    """Runs of one loop side by side."""

    @step
    async def work(n: int) -> int:
        await asyncio.sleep(0.001)
        return n

    @job
    async def main(contract: night_contract) -> int:
        return sum(await work.map(range(contract.n)))

    async def many():
        store = f"sqlite:///{tmp_path / 'a.db'}"
        return await asyncio.gather(
            *(main.run(night_contract(n=n), store=store) for n in range(12))
        )

    assert asyncio.run(many()) == [sum(range(n)) for n in range(12)]

"""`migrate`: journals between SQLite and a real Postgres, verified, whole or not at all."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nightproof.journal.portable import TABLES
from nightproof.stores.files import FileBlobs
from nightproof.testing.servers import PostgresServer

OLD = "sqlite:///.nightproof/journal.db"
_numbers = itertools.count()
BIG = """

@step
def big(n: int) -> str:
    with Path("big.txt").open("a") as file:
        file.write("x")
    return f"{n}" * 100_000


@job
async def large(contract: Work) -> int:
    sizes = [len(await big(n)) for n in range(contract.n)]
    if contract.until:
        await wait_for("go", str)
    return sum(sizes)
"""


@pytest.fixture
def database(postgres_server: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres_server.database(f"migrate_{os.getpid()}_{next(_numbers)}")


def ran(np: Any, *arguments: str, **env: str) -> Any:
    """A command that succeeded."""
    done = np(*arguments, **env)
    assert done.code == 0, done.err
    return done


def timeless(told: Any) -> Any:
    """A document without what grows while a run is open."""
    if isinstance(told, dict):
        growing = {"took", "silent", "heartbeat"}
        return {key: timeless(value) for key, value in told.items() if key not in growing}
    return [timeless(one) for one in told] if isinstance(told, list) else told


def recorded(np: Any) -> int:
    """How many results the newest run of the SQLite journal has on record."""
    with sqlite3.connect(np.folder / ".nightproof" / "journal.db") as db:
        query = "SELECT count(*) FROM entry WHERE kind = 1 AND run = (SELECT max(id) FROM run)"
        found = db.execute(query).fetchone()[0]
    db.close()
    return int(found)


def crash(np: Any, store: str) -> str:
    """A run that died behind its second item; its name."""
    child = np.start("run", "jobs.py:work", np.contract(n=5, until="go"), "--store", store)
    np.wait_until(lambda: np.calls()[-1:] == ["2"] and recorded(np) >= 2)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return str(np("runs", "--json", "--store", store).json["runs"][0]["run"])


def test_a_crashed_run_goes_on_in_postgres(np: Any, database: str):
    """runs, show and steps say the same; nothing on record is done again; effects once."""
    ran(np, "run", "jobs.py:work", np.contract(n=2))
    name = crash(np, OLD)
    before = {c: np(*c.split(), "--json").json for c in (f"show {name}", f"steps {name}", "runs")}
    moved = ran(np, "migrate", "--to", database)
    assert "every row was read back" in moved.out
    assert all(table.name in moved.out for table in TABLES)
    password = psycopg.conninfo.conninfo_to_dict(database)["password"]
    assert str(password) not in moved.out + moved.err
    env = {"NIGHTPROOF_STORE": database}
    for command, told in before.items():
        now = np(*command.split(), "--json", "--store", database).json
        assert timeless(now) == timeless(told), command
    np.touch("go")
    done = ran(np, "resume", name, "--json", **env).json
    assert done["status"] == "completed"
    assert done["steps"]["replayed"] >= 2
    assert np.calls() == ["0", "1", "0", "1", "2", "2", "3", "4"]
    assert len(np.told()) == 2
    again = ran(np, "run", "jobs.py:work", np.contract(n=2), "--json", **env).json
    assert again["steps"]["executed"] == 0
    assert ran(np, "diff", name, name, "--json", **env).json["drift"] is False


def test_there_and_back_again(np: Any, database: str):
    """From SQLite to Postgres to SQLite: the same digests of every table."""
    crash(np, OLD)
    first = ran(np, "migrate", "--to", database, "--json").json
    back = "sqlite:///back/journal.db"
    second = ran(np, "migrate", "--from", database, "--to", back, "--json").json
    assert first["tables"] == second["tables"]
    assert first["tables"]["entry"]["rows"] > 0
    assert first["damagedEntries"] == 0
    assert ran(np, "doctor", "--store", back).code == 0
    assert not list((np.folder / "back").glob("*.migrating*"))


def test_new_runs_follow_those_that_were_copied(np: Any, database: str):
    """The numbers that Postgres gives come behind those it was given."""
    ran(np, "run", "jobs.py:work", np.contract(n=1))
    ran(np, "migrate", "--to", database)
    ran(np, "run", "jobs.py:work", np.contract(n=2), NIGHTPROOF_STORE=database)
    assert len(np("runs", "--json", "--store", database).json["runs"]) == 2


def every_kind_of_row(folder: Path) -> None:
    """Rows in all tables, some with what is hard to carry over."""
    with sqlite3.connect(folder / ".nightproof" / "journal.db") as db:
        run = db.execute("SELECT max(id) FROM run").fetchone()[0]
        db.executescript(f"""
            INSERT INTO quota VALUES ('q', 'rate 1/s', 0, 'tab	and "quote" \\ back');
            INSERT INTO quota_use VALUES ('q', 'requests', 'Ä', 5, 0.1), ('q', 'requests', 'z', 5, 3);
            INSERT INTO quota_wait VALUES ('q', 'r', 1, 2);
            INSERT INTO incident VALUES ('k', 'stall', 'j', 'r', 1, NULL, 3, 'line
break'), ('É', 's', '', '', 2, 3, 0, '');
            INSERT INTO schedule VALUES ('s', 'j', 't', '0 4 * * *', 1, 2);
            INSERT INTO fire VALUES ('s', 9, 'r', x'00ff'), ('s', 10, 'r', NULL);
            INSERT INTO signal VALUES (7, {run}, 'go', x'6e756c6c', 1, 1);
            INSERT INTO effect VALUES ('key', 'n', {run}, 'r', 'failed', x'00', x'5b5d', 2, 3, NULL, NULL, 'x');
            INSERT INTO outcome (run, fp, seq) VALUES ({run}, x'00ff', 0);
            INSERT INTO audit VALUES (3, 1, 'ä@h', 'cancel', 'r', 'c', 1, 'no'), (9, 1, '', '', '', '', NULL, '');
        """)
        db.execute("UPDATE incident SET note = ? WHERE key = 'k'", ("nul \0 inside",))
    db.close()


def test_every_kind_of_row_is_carried_over(np: Any, database: str):
    """Quotas, incidents, schedules, signals, outcomes, audits; quotes, line ends, umlauts, NUL."""
    ran(np, "run", "jobs.py:work", np.contract(n=2))
    every_kind_of_row(np.folder)
    there = ran(np, "migrate", "--to", database, "--json").json["tables"]
    assert [name for name, told in there.items() if not told["rows"]] == []
    back = ran(np, "migrate", "--from", database, "--to", "sqlite:///b.db", "--json").json
    assert back["tables"] == there
    with psycopg.connect(database) as db:
        kept = db.execute("SELECT note FROM nightproof.incident WHERE key = 'k'").fetchall()
    assert kept == [("nul \ufffd inside",)]


def test_damaged_entries_are_counted_and_stay_damaged(np: Any, database: str):
    """They run again on the target, as they would on the source."""
    crash(np, OLD)
    with sqlite3.connect(np.folder / ".nightproof" / "journal.db") as db:
        db.execute(
            "UPDATE entry SET output = x'39' WHERE kind = 1 AND seq = "
            "(SELECT min(seq) FROM entry WHERE kind = 1)"
        )
    db.close()
    assert ran(np, "migrate", "--to", database, "--json").json["damagedEntries"] == 1
    np.touch("go")
    done = ran(np, "resume", "--json", "--store", database).json
    assert done["status"] == "completed"
    assert np.calls().count("0") == 2


def test_a_live_run_is_not_torn_away(np: Any, database: str):
    """Refused in one line, and nothing is written."""
    child = np.start("run", "jobs.py:work", np.contract(n=5, until="go"))
    np.wait_until(lambda: len(np.calls()) >= 3)
    refused = np("migrate", "--to", database)
    assert refused.code == 2
    assert "a run is being worked on" in refused.err
    np.touch("go")
    assert np.ended(child).code == 0
    ran(np, "migrate", "--to", database)


def test_a_target_that_holds_something_is_refused(np: Any, database: str):
    """Another journal would be lost in it, or it in the other."""
    ran(np, "run", "jobs.py:work", np.contract(n=2))
    ran(np, "migrate", "--to", database)
    refused = np("migrate", "--to", database)
    assert refused.code == 2
    assert "is not empty: 1 in run" in refused.err
    ran(np, "migrate", "--to", f"{database}?schema=other")
    (np.folder / "there.db").write_bytes(b"")
    refused = np("migrate", "--to", "sqlite:///there.db")
    assert refused.code == 2
    assert "is there already" in refused.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", OLD], "the same store"),
        (["--to", "mysql://x/y"], "cannot open"),
        (["--to", "sqlite:///b.db", "--blobs-from", "x"], "--blobs-to"),
        (["--blobs-to", "x"], "need --to"),
        (["--from", "sqlite:///none.db", "--to", "sqlite:///b.db"], "no journal"),
        (["--to", "sqlite://:memory:"], "in memory"),
        (["--to", "postgresql://me:hush@127.0.0.1:9/x"], "could not be reached"),
    ],
)
def test_mistakes_are_said_in_one_line(np: Any, words: list[str], said: str):
    """Nothing is begun."""
    ran(np, "run", "jobs.py:work", np.contract(n=1))
    done = np("migrate", *words)
    assert done.code in (1, 2)
    assert said in done.err
    assert "hush" not in done.err
    assert "Traceback" not in done.err


def test_without_a_target_the_schema_is_brought_forward(np: Any):
    """An old journal becomes a new one where it is."""
    (np.folder / ".nightproof").mkdir()
    golden = Path(__file__).parents[1] / "golden" / "v1" / "journal.db"
    (np.folder / ".nightproof" / "journal.db").write_bytes(golden.read_bytes())
    assert "newest schema" in ran(np, "migrate").out
    with sqlite3.connect(np.folder / ".nightproof" / "journal.db") as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] >= 5
    db.close()


def many(folder: Path, rows: int) -> None:
    """A journal that takes a while to copy."""
    with sqlite3.connect(folder / ".nightproof" / "journal.db") as db:
        run = db.execute("SELECT max(id) FROM run").fetchone()[0]
        db.executemany(
            "INSERT INTO entry (run, seq, kind, code, fp, at, took, inputs, output, blob, crc) "
            f"VALUES ({run}, ?, 7, 0, x'', 1, 1, NULL, ?, NULL, 0)",
            ((1000 + n, b'{"kind":"x"}' * 20) for n in range(rows)),
        )
    db.close()


@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
def test_a_migration_that_is_killed_has_not_happened(np: Any, database: str, kind: str):
    """The target is empty or not there; the same command again does all of it."""
    ran(np, "run", "jobs.py:work", np.contract(n=2))
    many(np.folder, 60_000)
    to = database if kind == "postgres" else "sqlite:///new/journal.db"

    def begun() -> bool:
        if kind == "sqlite":
            return (np.folder / "new" / "journal.db.migrating").exists()
        with psycopg.connect(database) as db:
            found = db.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND query LIKE 'COPY entry%%'"
            ).fetchall()
        return bool(found[0][0])

    child = np.start("migrate", "--to", to)
    np.wait_until(lambda: begun() or child.poll() is not None)
    assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.communicate()
    if kind == "sqlite":
        assert not (np.folder / "new" / "journal.db").exists()
    else:
        assert np("runs", "--json", "--store", to).json["runs"] == []
    done = ran(np, "migrate", "--to", to, "--json").json
    assert done["tables"]["run"]["rows"] == 1
    assert done["tables"]["entry"]["rows"] > 60_000
    assert not list(np.folder.glob("new/*.migrating*"))


def test_a_source_that_is_locked_is_waited_for_by_runs(np: Any, database: str):
    """A run that starts during a migration has not begun when the copy is made."""
    ran(np, "run", "jobs.py:work", np.contract(n=1))
    many(np.folder, 30_000)
    move = np.start("migrate", "--to", database, "--json")
    run = np.start("run", "jobs.py:work", np.contract(n=2))
    moved = np.ended(move)
    assert np.ended(run).code == 0
    if moved.code == 0:
        rows = moved.json["tables"]["run"]["rows"]
        listed = np("runs", "--json", "--store", database).json["runs"]
        assert len(listed) == rows
        assert all(row["status"] != "running" for row in listed)
    else:
        assert "being worked on" in moved.err


def large(np: Any) -> None:
    """A run with three large values."""
    with (np.folder / "jobs.py").open("a") as file:
        file.write(BIG)
    ran(np, "run", "jobs.py:large", np.contract(n=3))


def test_blobs_go_along_where_asked(np: Any, database: str):
    """Each is read whole at its old place and found at the new one; the run needs no other."""
    large(np)
    moved = ran(np, "migrate", "--to", database, "--blobs-to", "elsewhere", "--json").json
    assert moved["blobs"]["copied"] == moved["blobs"]["referenced"] >= 3
    (np.folder / ".nightproof").rename(np.folder / "gone")
    env = {"NIGHTPROOF_STORE": database, "NIGHTPROOF_BLOBS": "elsewhere"}
    assert (
        ran(np, "run", "jobs.py:large", np.contract(n=3), "--json", **env).json["result"] == 300_000
    )
    assert (np.folder / "big.txt").read_text() == "xxx"


def test_blobs_that_stay_are_named(np: Any, database: str):
    """The new store has another default: the message says what to set."""
    large(np)
    moved = ran(np, "migrate", "--to", database)
    assert f'blobs = "{np.folder}/.nightproof/blobs"' in moved.out


def test_lost_blobs_are_said(np: Any, database: str):
    """The journal is moved; exit 1."""
    large(np)
    blobs = FileBlobs(np.folder / ".nightproof" / "blobs")
    [gone, *_] = [info.digest for info in blobs.iterate()]
    blobs.delete(gone)
    moved = np("migrate", "--to", database, "--blobs-to", "elsewhere", "--json")
    assert moved.code == 1
    assert gone in moved.json["blobs"]["lost"][0]


def test_a_run_without_its_owner_is_watched_for_a_lease(np: Any, database: str):
    """An owner on another machine whose lease is out may still live: its heartbeat tells."""
    name = crash(np, OLD)
    with sqlite3.connect(np.folder / ".nightproof" / "journal.db") as db:
        db.execute("UPDATE run SET owner_host = 'elsewhere/boot/ns', lease_until = 1")
    db.close()
    done = ran(np, "migrate", "--to", database, NIGHTPROOF_LEASE="0.5")
    assert f"whether {name} is still being worked on" in done.err


def test_json_has_no_secret_and_says_where(np: Any, database: str):
    """One document: from, to, tables, blobs."""
    ran(np, "run", "jobs.py:work", np.contract(n=1))
    done = ran(np, "migrate", "--to", database, "--json")
    told = json.loads(done.out)
    assert told["from"] == OLD
    assert ":***@" in told["to"]
    assert set(told["tables"]) == {table.name for table in TABLES}


@pytest.fixture
def schema(np: Any) -> Callable[[], dict[str, list[str]]]:
    """The tables of a SQLite journal as they are."""

    def read() -> dict[str, list[str]]:
        with sqlite3.connect(np.folder / ".nightproof" / "journal.db") as db:
            names = [
                row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            ]
            found = {
                name: sorted(row[1] for row in db.execute(f"PRAGMA table_info({name})"))
                for name in names
            }
        db.close()
        return found

    return read


def test_every_column_of_both_stores_is_copied(
    np: Any, database: str, schema: Callable[[], dict[str, list[str]]]
):
    """A table or column that is added to a store has to be added to what is copied."""
    ran(np, "run", "jobs.py:work", np.contract(n=1))
    copied = {table.name: sorted(table.names) for table in TABLES}
    assert copied == schema()
    ran(np, "migrate", "--to", database)
    with psycopg.connect(database) as db:
        rows = db.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns "
            "WHERE table_schema = 'nightproof' GROUP BY table_name"
        ).fetchall()
    own = {"migration", "receipt"}
    assert {name: sorted(columns) for name, columns in rows if name not in own} == copied

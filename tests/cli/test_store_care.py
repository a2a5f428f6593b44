"""`doctor`, `doctor --salvage` and `gc`."""

import sqlite3

import pytest

PAGE = 4096


def journal(np):
    """The file of the default store."""
    return np.folder / ".nightproof" / "journal.db"


def at_rest(np):
    """Everything in the journal's main file."""
    with sqlite3.connect(journal(np)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def pages_of(np, table):
    """Which pages hold the rows of a table (its leaves), found by a mark in them."""
    data = journal(np).read_bytes()
    mark = {"entry": b'"key":'}[table]
    pages = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
    # 0x0A: leaf of an index b-tree, which is how tables without rowids are stored.
    return [n for n, page in enumerate(pages) if page[0] == 0x0A and page.count(mark) > 10]


def overwrite(np, page):
    """Damage one page beyond recognition."""
    with journal(np).open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xff" * PAGE)


def test_doctor_of_a_healthy_store(np):
    """Every line is ok, and says versions, durability and what is free."""
    np("run", "jobs.py:work", np.contract())
    found = np("doctor", "--json")
    assert found.code == 0
    assert found.json["healthy"] is True
    assert {one["state"] for one in found.json["findings"]} == {"ok"}
    assert {"versions", "sync", "journal", "owners", "boots", "blobs", "disk"} == {
        one["what"] for one in found.json["findings"]
    }


def test_doctor_without_a_store_creates_none(np):
    """There is nothing wrong before the first run."""
    assert np("doctor").code == 0
    assert not journal(np).exists()


def test_doctor_names_what_was_left(np):
    """A killed run and an undecided effect come with the command to type."""
    child = np.start("run", "jobs.py:work", np.contract(until="go"))
    np.wait_until(lambda: "2" in np.calls())
    child.kill()
    np.ended(child)
    np("run", "jobs.py:doubt", np.contract())
    told = np("doctor").out
    assert "nightproof resume work-" in told
    assert "nightproof resolve doubt-" in told


@pytest.fixture
def damaged(np):
    """A journal of 400 items with a page of its history destroyed."""
    np("run", "jobs.py:work", np.contract(n=400))
    at_rest(np)
    pages = pages_of(np, "entry")
    assert len(pages) > 3
    overwrite(np, pages[len(pages) // 2])
    return np


def test_doctor_sees_damage_and_names_the_way_out(damaged):
    """Exit 1, and the command that salvages."""
    found = damaged("doctor")
    assert found.code == 1
    assert "--salvage NEW.db" in found.out


def test_salvage_copies_what_is_readable_on_both_sides(damaged):
    """Only the damaged page's entries are lost; the new journal is healthy and usable."""
    ran = damaged("doctor", "--salvage", "new.db", "--json")
    assert ran.code == 1
    assert ran.json["lost"]
    assert ran.json["copied"]["run"] == 1
    assert 300 < ran.json["copied"]["entry"] < 404
    new = ["--store", "sqlite:///new.db"]
    assert damaged("doctor", *new).code == 0
    keys = [
        one["key"] for one in damaged("steps", "work", "-n", "999", "--json", *new).json["steps"]
    ]
    assert "0" in keys
    assert "399" in keys
    again = damaged("run", "jobs.py:work", damaged.contract(n=400), "--json", *new)
    assert again.json["result"] == sum(i * i for i in range(400))


def test_salvage_of_a_healthy_journal_is_a_copy(np):
    """Nothing is lost, exit 0; an existing file is not overwritten."""
    run = np("run", "jobs.py:work", np.contract(), "--json").json["run"]
    ran = np("doctor", "--salvage", "new.db", "--json")
    assert (ran.code, ran.json["lost"]) == (0, [])
    shown = np("show", run, "--json", "--store", "sqlite:///new.db").json
    old = np("show", run, "--json").json
    assert {**shown, "run": 0} == {**old, "run": 0}
    assert np("doctor", "--salvage", "new.db").code == 2


def test_salvage_of_no_database_says_so(np):
    """A file that SQLite cannot even open: one message, no traceback."""
    journal(np).parent.mkdir()
    journal(np).write_bytes(b"\x00" * 10_000)
    for options in (["doctor"], ["doctor", "--salvage", "new.db"]):
        ran = np(*options)
        assert ran.code == 1
        assert "Traceback" not in ran.err


def test_gc_removes_old_runs_whole_and_keeps_the_newest(np):
    """Dry runs remove nothing; the ledger of effects stays, so nothing is sent twice."""
    for n in (1, 2, 3):
        np("run", "jobs.py:work", np.contract(n=n))
    would = np("gc", "--older-than", "0s", "--keep", "1", "--dry-run", "--json").json
    assert len(would["runs"]) == 2
    assert len(np("runs", "--json").json["runs"]) == 3
    did = np("gc", "--older-than", "0s", "--keep", "1", "--json").json
    assert did["runs"] == would["runs"]
    assert did["entries"] > 0
    (left,) = np("runs", "--json").json["runs"]
    assert left["run"] not in did["runs"]
    np("run", "jobs.py:work", np.contract(n=1))
    assert np.told() == ["1 0", "2 1", "3 5"]


def test_gc_keeps_what_is_young_or_unfinished(np):
    """The default of 30 days keeps last night; a parked run is never collected."""
    np("run", "jobs.py:work", np.contract())
    np("run", "jobs.py:waiting", np.contract())
    assert np("gc", "--keep", "0", "--json").json["runs"] == []
    assert len(np("gc", "--keep", "0", "--older-than", "0s", "--json").json["runs"]) == 1
    assert np("gc", "--older-than", "soon").code == 2

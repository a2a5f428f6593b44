"""What a store lists and counts for people who look, and its record of what they did."""

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from nightproof.app import open_reader
from nightproof.config import Settings
from nightproof.errors import NotFound
from nightproof.journal.listing import EffectFilter, EffectPlace, JobRow, SpanRow
from nightproof.journal.records import (
    Entry,
    Finish,
    LaneBatch,
    Owner,
    RunFilter,
    Wanted,
    checksum,
)
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import EffectState, Kind, RunStatus

GOLDEN = Path(__file__).parents[1] / "golden"
OWNER = Owner(ProcessIdentity("elsewhere/boot/ns", 7, 1), 1, 30_000)
DONE = (RunStatus.COMPLETED,)
OPEN = (RunStatus.RUNNING, RunStatus.PARKED)
DIGEST = "ab" * 32


async def begin(journal, n, job="main", **more):
    """A run that an attempt owns."""
    contract = json.dumps({"n": n, "name": 'Zoë \u2028 "x"'}, ensure_ascii=False).encode()
    want = Wanted(job, f"sha256:{n:064}", contract, **more)
    return (await journal.claim(want, OWNER)).run


async def write(journal, run, entries, *writes):
    """Commit entries and writes of a run."""
    batch = LaneBatch(run.id, run.token, entries, writes)
    answer = journal.commit([batch])
    refused = answer if isinstance(answer, frozenset) else await answer
    assert refused == frozenset()


async def finish(journal, run, status=RunStatus.COMPLETED, result=b"1"):
    """The end of the run."""
    await write(journal, run, [], Finish(status, run.created + 1000, str(status), result=result))


def entry(run, seq, kind=Kind.RESULT, code=7, **more):
    """A line of history, half a second long."""
    fp, output = b"%016d" % seq, more.pop("output", b"1")
    values = {"at": 10_000 + seq, "took": 500_000, "inputs": b'["%d"]' % seq, **more}
    return Entry(
        run.id, seq, kind, code, fp, values["at"], values["took"], values["inputs"], output, None,
        checksum(fp, output, None),
    )  # fmt: skip


def artifact(run, seq, digest=DIGEST, name="a.txt", **more):
    """An artifact as it is recorded."""
    note = {"path": "/x/" + name, "name": name, "sha256": digest, "size": 3}
    return entry(run, seq, Kind.ARTIFACT, 0, output=json.dumps(note).encode(), **more)


def names(rows):
    """The numbers of the contracts."""
    return [json.loads(row.contract)["n"] for row in rows]


def test_runs_are_found_by_what_people_ask_for(night):
    """Each filter leaves out what it should; together they narrow."""

    async def ask(app):
        journal = app.journal
        one, two = await begin(journal, 1), await begin(journal, 2, "other")
        child = await begin(journal, 3, "part", parent=one.id)
        again = await begin(journal, 1, replicate=-1)
        await finish(journal, two)
        find = journal.runs
        assert names(await find(RunFilter())) == [1, 3, 2, 1]
        assert names(await find(RunFilter(own=True))) == [2, 1]
        assert names(await find(RunFilter(own=True, since=0, until=2**60))) == [2, 1]
        assert await find(RunFilter(own=True, since=2**60)) == []
        assert await find(RunFilter(until=one.created)) == []
        assert names(await find(RunFilter(before=child.id))) == [2, 1]
        assert names(await find(RunFilter(status=OPEN))) == [1, 3, 1]
        assert names(await find(RunFilter(status=OPEN, own=True, job="main"))) == [1]
        assert names(await find(RunFilter(status=(*OPEN, *DONE), own=True))) == [2, 1]
        assert names(await find(RunFilter(parent=one.id, status=OPEN))) == [3]
        assert names(await find(RunFilter(digest=one.digest))) == [1, 1]
        assert [row.id for row in await find(RunFilter(job="main", limit=1))] == [again.id]

    night.ask(ask)


@pytest.mark.parametrize("text", ['"n":2', '"n": 2', "Zoë", '"x"', "\u2028", "other-"])
def test_a_text_is_looked_for_in_names_and_contracts(night, text):
    """As it stands in the JSON and as people read it; never as a pattern."""

    async def ask(app):
        journal = app.journal
        await begin(journal, 2, "other")
        found = await journal.runs(RunFilter(text=text))
        assert names(found) == ([] if text == '"n":2' else [2])
        assert await journal.runs(RunFilter(text="%")) == []
        assert await journal.runs(RunFilter(text="o_her")) == []

    night.ask(ask)


def test_brief_rows_have_everything_but_what_may_be_large(night):
    """Contract and result are left out, and nothing else."""

    async def ask(app):
        run = await begin(app.journal, 1)
        await finish(app.journal, run)
        [whole] = await app.journal.runs(RunFilter())
        [brief] = await app.journal.runs(RunFilter(brief=True))
        assert (whole.result, bool(whole.contract)) == (b"1", True)
        assert brief == whole._replace(contract=b"", result=None)
        assert await app.journal.run(run.id) == whole
        with pytest.raises(NotFound, match="not in the journal any more"):
            await app.journal.run(run.id + 1)

    night.ask(ask)


def test_jobs_and_their_nights_are_counted(night):
    """Only runs of their own; the newest of a group gives its name."""

    async def ask(app):
        journal = app.journal
        runs = [await begin(journal, n) for n in range(3)]
        await begin(journal, 9, "part", parent=runs[0].id)
        await begin(journal, 0, replicate=-1)
        await finish(journal, runs[0])
        assert await journal.jobs() == [JobRow("main", 3, max(run.created for run in runs))]
        groups = await journal.groups(runs[0].created)
        assert sum(one.count for one in groups) == 3
        assert {(one.job, one.quarter) for one in groups} == {
            ("main", run.created // 900_000) for run in runs
        }
        done = [one for one in groups if one.status is RunStatus.COMPLETED]
        assert [(one.count, one.name) for one in done] == [(1, runs[0].name)]
        assert runs[2].name in {one.name for one in groups}
        assert await journal.groups(2**60) == []

    night.ask(ask)


def test_entries_are_picked_and_paged(night):
    """By kind, code, text and number; from the front, from the end, and from the middle."""

    async def ask(app):
        run = await begin(app.journal, 1)
        mixed = [
            entry(run, n, Kind.FAILURE if n % 10 == 3 else Kind.RESULT, 7 + n % 2)
            for n in range(40)
        ]
        notes = [entry(run, 40 + n, Kind.EVENT, 0, inputs=None) for n in range(10)]
        await write(app.journal, run, [*mixed, *notes])

        async def seqs(*args, **how):
            return [one.seq for one in await app.journal.entries(run.id, *args, **how)]

        assert await seqs() == list(range(50))
        assert await seqs((Kind.FAILURE,)) == [3, 13, 23, 33]
        assert await seqs((Kind.FAILURE, Kind.EVENT), 23, 3) == [33, 40, 41]
        assert await seqs((Kind.EVENT,), newest=True, limit=2) == [48, 49]
        assert await seqs((Kind.EVENT,), newest=True, limit=2, before=48) == [46, 47]
        assert await seqs((Kind.EVENT,), newest=True) == list(range(40, 50))
        assert await seqs((Kind.RESULT,), codes=(8,), limit=2, skip=3) == [9, 11]
        assert await seqs((Kind.RESULT, Kind.FAILURE), codes=(7, 8), before=2) == [0, 1]
        assert await seqs(text=b'"3') == [3, *range(30, 40)]
        assert await seqs(text=b'"3', newest=True, limit=1) == [39]
        assert await seqs(text=b"%") == []
        whole = await app.journal.entries(run.id, (Kind.FAILURE,), limit=1)
        assert whole == [mixed[3]]

    night.ask(ask)


def test_entries_beyond_one_page_of_the_store_come_whole(night, monkeypatch):
    """Whatever is skipped, and from either end."""
    from nightproof.stores.postgres import reads

    monkeypatch.setattr(reads, "PAGE", 4)

    async def ask(app):
        run = await begin(app.journal, 1)
        await write(app.journal, run, [entry(run, n) for n in range(20)])

        async def seqs(**how):
            return [one.seq for one in await app.journal.entries(run.id, **how)]

        assert await seqs(skip=3) == list(range(3, 20))
        assert await seqs(skip=3, newest=True) == list(range(17))
        assert await seqs(skip=2, limit=9) == list(range(2, 11))
        assert await seqs(newest=True, limit=9, before=19) == list(range(10, 19))

    night.ask(ask)


def test_time_is_summed_by_kind_code_and_part(night):
    """A part is what lies between two attempts; a moment on the bound belongs to the later."""

    async def ask(app):
        run = await begin(app.journal, 1)
        await write(app.journal, run, [entry(run, n) for n in range(10)])
        await write(app.journal, run, [entry(run, 10, Kind.FAILURE, 8, took=9)])
        spans = app.journal.spans
        whole = SpanRow(1, 7, 0, 10, 9_500, 10_009, 5_000_000, 500_000)
        failed = SpanRow(2, 8, 0, 1, 10_009, 10_010, 9, 9)
        assert await spans(run.id) == [whole, failed]
        assert await spans(run.id, (10_004, 10_005, 20_000)) == [
            SpanRow(1, 7, 0, 4, 9_500, 10_003, 2_000_000, 500_000),
            SpanRow(1, 7, 1, 1, 9_504, 10_004, 500_000, 500_000),
            SpanRow(1, 7, 2, 5, 9_505, 10_009, 2_500_000, 500_000),
            failed._replace(part=2),
        ]
        many = await spans(run.id, range(10_000, 13_000, 2))
        assert [(one.part, one.count) for one in many[:5]] == [(n, 2) for n in range(1, 6)]
        assert await spans(run.id + 1) == []

    night.ask(ask)


def test_the_states_of_items_are_one_text(night):
    """In order, only of these codes, without failures that were given another chance."""

    async def ask(app):
        run = await begin(app.journal, 1)
        kinds = [Kind.RESULT, Kind.FAILURE, Kind.EVENT, Kind.RESULT, Kind.FAILURE, Kind.RESULT]
        lines = [entry(run, n, kind, 8 if n == 5 else 7) for n, kind in enumerate(kinds)]
        await write(app.journal, run, lines)
        assert await app.journal.states(run.id, (7,)) == "dfdf"
        assert await app.journal.states(run.id, (7, 8), reopened=1) == "ddfd"
        assert await app.journal.states(run.id, (9,)) == ""
        assert await app.journal.states(run.id, ()) == ""

    night.ask(ask)


def test_a_file_is_found_by_its_digest(night):
    """In any run, however its digest is written; a name that looks like one does not count."""

    async def ask(app):
        journal = app.journal
        one, two = await begin(journal, 1), await begin(journal, 2)
        fake = f'"sha256": "{"cd" * 32}"'
        await write(journal, one, [artifact(one, 0), artifact(one, 1, "00" * 32, fake)])
        await write(journal, two, [artifact(two, 0, at=99_000), entry(two, 1)])
        for digest in (DIGEST, "sha256:" + DIGEST, DIGEST.upper()):
            assert [row.run for row in await journal.delivered(digest)] == [two.id, one.id]
        assert [row.run for row in await journal.delivered(DIGEST, 1)] == [two.id]
        assert [row.seq for row in await journal.delivered("00" * 32)] == [1]
        for digest in ("cd" * 32, "ab", "", "%"):
            assert await journal.delivered(digest) == []

    night.ask(ask)


@pytest.mark.parametrize("version", ["v1", "v3", "v5", "v6"])
def test_an_older_journal_that_is_only_read_is_listed_too(tmp_path, version):
    """Without the newer indexes and tables; nothing is brought forward."""
    shutil.copytree(GOLDEN / version, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "journal.db"
    before = path.read_bytes()
    reader = open_reader(Settings(store=f"sqlite:///{path}"))

    async def look():
        [run] = await reader.runs(RunFilter(own=True, since=0, status=OPEN, brief=True))
        assert (await reader.jobs())[0].runs == 1
        assert [one.name for one in await reader.groups(0)] == [run.name]
        told = await reader.entries(run.id, (Kind.ARTIFACT, Kind.FAILURE))
        assert {one.kind for one in told} == {Kind.ARTIFACT, Kind.FAILURE}
        note = json.loads(next(one.output for one in told if one.kind == Kind.ARTIFACT))
        assert len(await reader.delivered(note["sha256"])) == 1
        assert sum(one.count for one in await reader.spans(run.id)) > 5
        assert len(await reader.ledger(EffectFilter(states=(EffectState.CONFIRMED,)))) == 1
        assert await reader.audits() == []
        assert await reader.runs(RunFilter(again=True, since=0)) == []

    asyncio.run(look())
    assert path.read_bytes() == before


@pytest.mark.sqlite_only
def test_what_is_shown_is_found_without_reading_every_step(night):
    """The plans of SQLite: each goes by its index, none goes through all entries."""
    night.ask(lambda app: app.journal.runs(RunFilter()))
    asked = []

    async def record():
        reader = open_reader(night.settings())
        whole = reader._all

        def heard(sql, *values):
            asked.append((sql, values))
            return whole(sql, *values)

        reader._all = heard
        await reader.entries(1, (Kind.EVENT, Kind.WAIT), newest=True, limit=50)
        await reader.delivered(DIGEST)
        await reader.jobs()
        await reader.groups(5)
        await reader.runs(RunFilter(own=True))
        await reader.runs(RunFilter(own=True, since=5))
        await reader.runs(RunFilter(status=OPEN))
        await reader.runs(RunFilter(job="main"))
        await reader.runs(RunFilter(again=True, since=5))
        await reader.ledger(EffectFilter())
        await reader.ledger(EffectFilter(states=(EffectState.FAILED,)))
        await reader.ledger(EffectFilter(text="x", before=EffectPlace(5, "k"), run=3))
        await reader.reach(EffectFilter(text="x"), 100)

    asyncio.run(record())
    plans = []
    with sqlite3.connect(night.url.removeprefix("sqlite:///")) as db:
        for sql, values in asked:
            steps = db.execute("EXPLAIN QUERY PLAN " + sql, values).fetchall()
            plans.append(next(step[3] for step in steps if "INDEX " in step[3]))
    db.close()
    indexes = [plan.partition("INDEX ")[2].partition(" ")[0] for plan in plans]
    assert indexes == [
        "entry_told", "entry_delivered", "run_night", "run_night", "run_own", "run_night",
        "run_open", "run_job", "run_again", "effect_at", "effect_doubt", "effect_run", "effect_at",
    ]  # fmt: skip

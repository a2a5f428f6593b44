"""What is counted of a history is kept, and is the same as if all of it were read again."""

import json
from collections import Counter

from nightproof.journal import counting
from nightproof.journal.records import Entry, LaneBatch, Owner, Wanted, checksum
from nightproof.model import clock
from nightproof.model.identity import ProcessIdentity
from nightproof.model.states import Kind

OWNER = Owner(ProcessIdentity("elsewhere/boot/ns", 7, 1), 1, 30_000)
WIDE = 10


async def begin(journal):
    """A run that an attempt owns."""
    want = Wanted("main", f"sha256:{1:064}", json.dumps({"n": 1}).encode())
    return (await journal.claim(want, OWNER)).run


async def write(journal, run, seqs, kind=Kind.RESULT, code=7, at=None):
    """Commit a line of history, half a second long, for each sequence number."""
    lines = []
    for seq in seqs:
        fp = b"%016d" % seq
        when = clock.now_ms() if at is None else at(seq)
        lines.append(
            Entry(run.id, seq, kind, code, fp, when, 500_000, b"[1]", b"1", None,
                  checksum(fp, b"1", None))
        )  # fmt: skip
    answer = journal.commit([LaneBatch(run.id, run.token, lines)])
    assert not (answer if isinstance(answer, frozenset) else await answer)


async def same(journal, run, *, bounds=(), reopened=-1, codes=(7, 8)):
    """Compare what is counted with what is there; returns the letters."""
    entries = await journal.entries(run.id)
    there = Counter(
        (one.kind, one.code, sum(bound <= one.at for bound in bounds)) for one in entries
    )
    found = await journal.spans(run.id, bounds)
    assert {(one.kind, one.code, one.part): one.count for one in found} == there
    for one in found:
        alike = [
            each
            for each in entries
            if (each.kind, each.code, sum(bound <= each.at for bound in bounds)) == tuple(one[:3])
        ]
        assert one.first == min((each.at * 1000 - each.took) // 1000 for each in alike)
        assert one.last == max(each.at for each in alike)
        assert one.took == sum(each.took for each in alike)
        assert one.longest == max(each.took for each in alike)
    letters = "".join(
        "d" if one.kind == Kind.RESULT else "f"
        for one in entries
        if one.kind in (Kind.RESULT, Kind.FAILURE)
        and one.code in codes
        and (one.kind == Kind.RESULT or one.seq > reopened)
    )
    assert await journal.states(run.id, codes, reopened) == letters
    return letters


def asked_from(journal, heard):
    """Note from where statements about a part of a history begin to count."""
    plain = journal.rows

    async def rows(sql, *values):
        if "seq <=" in sql:
            heard.append(values[-2] if "GROUP BY" in sql else values[1])
        return await plain(sql, *values)

    journal.rows = rows


def test_a_history_that_grows_is_counted_from_where_it_was(night, monkeypatch):
    """However it grows; what was counted before is not read again."""
    monkeypatch.setattr(counting, "WINDOW", WIDE)

    async def ask(app):
        journal = app.journal
        run = await begin(journal)
        await same(journal, run)
        await write(journal, run, range(5))
        assert await same(journal, run) == "ddddd"
        await write(journal, run, range(5, 12), Kind.FAILURE, 8)
        await write(journal, run, range(12, 33), Kind.EVENT, 0)
        assert await same(journal, run) == "ddddd" + "f" * 7
        await write(journal, run, range(33, 70))
        await same(journal, run)
        heard = []
        asked_from(journal, heard)
        await write(journal, run, range(70, 74), Kind.FAILURE, 7)
        await same(journal, run)
        assert heard
        assert min(heard) >= 59

    night.ask(ask)


def test_parts_and_forgotten_failures(night, monkeypatch):
    """A new attempt makes other parts; failures that a later attempt forgot are no letters."""
    monkeypatch.setattr(counting, "WINDOW", WIDE)

    async def ask(app):
        journal = app.journal
        run = await begin(journal)
        await write(journal, run, range(25), at=lambda seq: 1_000 + seq)
        await write(journal, run, range(25, 30), Kind.FAILURE, 8, at=lambda seq: 1_000 + seq)
        await same(journal, run, bounds=[900])
        await same(journal, run, bounds=[900, 1_013])
        await same(journal, run)
        await write(journal, run, [30], Kind.REOPENED, 0, at=lambda _: 2_000)
        await write(journal, run, range(31, 44), Kind.FAILURE, 7, at=lambda seq: 2_000 + seq)
        bounds = [900, 1_013, 2_000]
        assert await same(journal, run, bounds=bounds, reopened=30) == "d" * 25 + "f" * 13
        assert await same(journal, run, reopened=30, codes=(8,)) == ""
        assert await same(journal, run, reopened=26, codes=(8,)) == "fff"

    night.ask(ask)


def test_what_comes_late_is_counted_too(night, monkeypatch):
    """A commit whose answer was lost may land behind later ones: a gap is looked at again."""
    monkeypatch.setattr(counting, "WINDOW", WIDE)

    async def ask(app):
        journal = app.journal
        run = await begin(journal)
        await write(journal, run, [*range(5), *range(8, 60)])
        await same(journal, run)
        await write(journal, run, [5, 6, 7], Kind.FAILURE, 8)
        assert await same(journal, run) == "ddddd" + "fff" + "d" * 52

    night.ask(ask)


def test_an_old_gap_is_not_looked_at_for_ever(night, monkeypatch):
    """What is missing for hours will not come any more: then the rest is kept as well."""
    monkeypatch.setattr(counting, "WINDOW", WIDE)

    async def ask(app):
        journal = app.journal
        run = await begin(journal)
        ago = clock.now_ms() - 2 * counting.SETTLED_MS
        await write(journal, run, [*range(5), *range(8, 60)], at=lambda seq: ago + seq)
        await same(journal, run)
        heard = []
        asked_from(journal, heard)
        await same(journal, run)
        assert min(heard) >= 49

    night.ask(ask)


def test_another_history_under_the_same_number_is_counted_anew(night, monkeypatch):
    """A database that was restored from a copy goes on from there: nothing of before counts."""
    monkeypatch.setattr(counting, "WINDOW", WIDE)

    async def ask(app):
        journal = app.journal
        run = await begin(journal)
        await write(journal, run, range(40), at=lambda seq: 1_000 + seq)
        await same(journal, run)
        await write_raw(journal, "DELETE FROM entry WHERE seq >= 15")
        await same(journal, run)
        await write(journal, run, range(15, 60), Kind.FAILURE, 8, at=lambda seq: 5_000 + seq)
        assert await same(journal, run) == "d" * 15 + "f" * 45

    night.ask(ask)


async def write_raw(journal, sql):
    """What somebody does to the database behind nightproof's back."""
    if journal.commits_inline:
        journal._db.execute(sql)
    else:
        await journal._session.once(lambda own: own.run(sql))

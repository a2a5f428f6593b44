"""The ledger of effects is searched for a time that does not grow with it."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import fields
from itertools import count

import pytest

from nightproof import app
from nightproof.config import Settings
from nightproof.journal.listing import EffectFilter, EffectPlace
from nightproof.model import clock
from nightproof.model.states import EffectState
from nightproof.views import ledger as ledgers
from nightproof.views.effects import EffectView
from nightproof.views.ledger import LedgerLine, cursor, ledger, look, place
from nightproof.views.search import search

MANY = 30_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with many effects; the oldest is like no other."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'journal.db'}"

    async def make():
        await app.open_journal(Settings(store=url)).close()

    asyncio.run(make())
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        db.executemany(
            "INSERT INTO effect (key, name, run, run_name, state, digest, inputs, tries, at) "
            "VALUES (?, ?, 1, 'main-1', ?, x'00', x'5b5d', 1, ?)",
            (
                (f"mail/{n}", "send" if n else "first", "confirmed" if n else "skipped", 1000 + n)
                for n in range(MANY)
            ),
        )
    return Settings(store=url)


@pytest.fixture
def slow(monkeypatch):
    """A clock on which every look at it takes a tenth of a second."""
    ticks = count()
    monkeypatch.setattr(clock, "perf", lambda: next(ticks) / 10)


def asked(store, **want):
    """What a page of the ledger has."""
    return asyncio.run(ledger(app.open_reader(store), EffectFilter(**want)))


WANTED = [{"text": "first"}, {"text": "mail/0"}, {"states": (EffectState.SKIPPED,)}]


@pytest.mark.parametrize("want", WANTED)
def test_the_oldest_of_many_is_found_by_what_only_it_has(store, want):
    """Its key, its name or its state; then everything was looked at."""
    page = asked(store, **want)
    assert [one.key for one in page.effects] == ["mail/0"]
    assert (page.next, page.back_to) == (None, None)


@pytest.mark.parametrize("want", WANTED)
def test_a_search_that_takes_too_long_says_how_far_it_came(store, slow, want):
    """And `next` goes on there, until all of it was looked at."""
    page, times = asked(store, **want), 1
    assert page.effects == []
    while page.next is not None:
        assert page.back_to is not None
        before = place(page.next)
        assert before is not None
        page, times = asked(store, before=before, **want), times + 1
        assert times < 9
    assert [one.key for one in page.effects] == ["mail/0"]
    assert times > 1


def test_a_page_of_a_search_is_whole_where_there_is_time(store):
    """What is everywhere is found at once, and paged like everything else."""
    page = asked(store, text="mail", limit=3)
    assert [one.key for one in page.effects] == [f"mail/{MANY - n}" for n in (1, 2, 3)]
    assert (page.next, page.back_to) == (cursor(EffectPlace(997 + MANY, f"mail/{MANY - 3}")), None)


def test_what_is_looked_at_at_once_grows_while_that_is_quick(store, monkeypatch):
    """Few statements for a large ledger on a quick machine."""
    sizes = []
    reader = app.open_reader(store)
    whole = reader.reach

    async def heard(want, size):
        sizes.append(size)
        return await whole(want, size)

    monkeypatch.setattr(reader, "reach", heard)
    monkeypatch.setattr(ledgers, "_WINDOW", 1000)
    asyncio.run(look(reader, EffectFilter(text="nowhere"), 3600))
    assert sizes == [1000, 2000, 4000, 8000, 16000]


def test_the_search_of_everything_says_the_same_of_effects(store, slow):
    """How far it came with them, and where the ledger goes on."""
    found = asyncio.run(search(app.open_reader(store), "mail/0"))
    assert found.effects == []
    assert found.effects_to is not None
    assert place(found.more_effects or "") is not None


@pytest.mark.parametrize("key", ["plain", "a.b", "1.2", "two\nlines", "käse", ""])
def test_a_place_is_read_as_it_was_written(key):
    """Whatever marks the key has."""
    one = EffectPlace(1_700_000_000_000, key)
    assert place(cursor(one) or "") == one


@pytest.mark.parametrize("text", ["", "x", "1", "-1.a", "1" * 16 + ".a", ".a", "\u0661.a"])
def test_what_is_no_place_is_none(text):
    """An address that somebody has typed."""
    assert place(text) is None


def test_a_place_of_a_monstrous_key_is_short():
    """Its beginning, which cannot show anything twice."""
    found = place(cursor(EffectPlace(1, "k" * 50_000)) or "")
    assert found is not None
    assert len(found.key) == ledgers.LONGEST
    assert place(cursor(EffectPlace(1, "a\0b")) or "") == (1, "a")


def test_a_line_of_the_ledger_is_an_effect_as_everywhere():
    """The same fields under the same names, and one more."""
    names = [one.name for one in fields(EffectView)]
    assert [one.name for one in fields(LedgerLine)] == [*names, "standing"]

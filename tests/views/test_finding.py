"""Searching, and pairs of runs, on every kind of store."""

import json

import pytest

from nightproof import artifact, effect, job, step
from nightproof.errors import NotFound, UsageError
from nightproof.views.budgets import over_time
from nightproof.views.pairs import comparable, explained, newest_pairs
from nightproof.views.search import search


@step
def shout(name):
    return name.upper()


@effect(key="told/{name}")
def tell(name):
    return name


@job
async def main(contract):
    found = await shout.map(contract.names, key=str)
    await tell(contract.names[0])
    await artifact("found.txt", json.dumps(found))
    return len(found)


NAMES = ("zürich", "b'ern", 'ge"nf', "%_x", "same")


@pytest.fixture
def runs(night, night_contract):
    """A run, its replicate, and the next night's."""
    first = night.run(main, night_contract(n=1, names=NAMES))
    again = night.run(main, night_contract(n=1, names=NAMES), replicate=-1)
    return [first.name, again.name, night.run(main, night_contract(n=2, names=("same",))).name]


def looked(night, query, **how):
    """What a search of the store finds."""
    return night.ask(lambda app: search(app.journal, query, **how))


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_found_as_people_write_them(night, runs, name):
    """Umlauts, quotes and what has a meaning in SQL; items with their run, newest first."""
    found = looked(night, name, seconds=60)
    assert [one.run for one in found.items][-2:] == runs[1::-1]
    assert {one.key for one in found.items} == {name}
    assert found.next is None


def test_fields_names_effects_and_digests(night, runs):
    """Each way to find a run."""
    assert [hit.run.run for hit in looked(night, "names=zürich", seconds=60).fields] == runs[1::-1]
    assert [hit.run.run for hit in looked(night, "n=2", seconds=60).fields] == runs[2:]
    assert {run.run for run in looked(night, "main-", seconds=60).runs} == set(runs)
    assert [one.key for one in looked(night, "told/z").effects] == ["told/zürich"]
    note = json.loads(night.entries(runs[0], 6)[0].output)
    deliveries = looked(night, note["sha256"]).deliveries
    assert [one.run.run for one in deliveries] == runs[1::-1]
    assert [one.same for one in deliveries] == [[runs[0]], [runs[1]]]


def test_what_no_store_can_hold_is_not_found(night, runs):
    """A NUL and half a surrogate are in no name, and no error."""
    for query in ("\0", "a\0b", "\ud800", "n=\0", '"\ud800"', "\x00=\x00", "names[99]=x"):
        assert not looked(night, query).items
        with pytest.raises(NotFound):
            night.ask(lambda app, name=query: comparable(app.journal, name, "replicate"))


def test_pairs(night, runs):
    """Words for runs, and who repeats whom."""
    first, again, _ = runs
    found = night.ask(lambda app: newest_pairs(app.journal))
    assert [(one.a, one.b) for one in found] == [(first, again)]
    for word, a, b in (("replicate", first, again), ("original", again, first)):
        rows = night.ask(lambda app, a=a, word=word: comparable(app.journal, a, word))
        assert [row.name for row in rows] == [a, b]
    with pytest.raises(UsageError, match="with itself"):
        night.ask(lambda app: comparable(app.journal, first, first))
    with pytest.raises(NotFound, match="no ended replicate"):
        night.ask(lambda app: comparable(app.journal, runs[2], "replicate"))
    rows = night.ask(lambda app: comparable(app.journal, first, again))
    assert night.ask(lambda app: explained(app.journal, app.blobs, *rows)) is None


@pytest.mark.sqlite_only
def test_a_budget_over_time_has_its_ends():
    """Of many replicates the first, the last and those that differ are points."""
    ends = [(f"2026-11-{day:02}T{hour:02}:00:00+00:00", (day, hour) != (7, 7))
            for day in range(1, 21) for hour in range(24)]  # fmt: skip
    points = over_time(ends[::-1])
    assert len(points) <= 62
    assert (points[0].of, points[-1].of, points[-1].differing) == (1, 480, 1)
    assert next(one.at for one in points if one.differing) == "2026-11-07T07:00:00+00:00"
    assert points[0].upper_bound > points[-1].upper_bound
    assert over_time([]) == []

"""Steps as grids, items in pages, and one item whole."""

from itertools import chain

import pytest
from course_jobs import ask, broken, enrich, large, make, shaky

from nightproof import (
    StepFailed,
    job,
    measure,
    views,
)
from nightproof.errors import BlobError, NotFound
from nightproof.views import grid as grids


def test_grid_and_its_cells_after_a_second_attempt(night, night_contract):
    """Failures that were tried again leave the grid; each cell leads to the right item."""
    broken.update({1, 4})

    @job
    async def patient(contract: night_contract) -> int:
        await enrich.map(range(6), key=str, concurrency=1, on_error="collect")
        await enrich(4)
        return 1

    outcome = night.run(patient)
    assert isinstance(outcome.error, StepFailed)
    broken.discard(1)
    broken.discard(4)
    night.run(patient)

    async def look(app, row):
        seen = await grids.grid(app.journal, row, "enrich")
        found = []
        for index in range(len(seen.states)):
            seq = await grids.cell(app.journal, row, seen, index)
            entry = await grids.entry_of(app.journal, row, seq)
            found.append((seen.states[index], {1: "d", 2: "f"}[entry.kind], entry.seq))
        return seen, found, await grids.cell(app.journal, row, seen, len(seen.states))

    seen, found, beyond = ask(night, outcome.name, look)
    assert seen.states == "d" * 7
    assert [one for one, _, _ in found] == [one for _, one, _ in found]
    assert [seq for _, _, seq in found] == sorted({seq for _, _, seq in found})
    assert beyond is None
    assert (seen.done, seen.failed, seen.total) == (7, 0, 6)


@pytest.mark.parametrize("every", ["fdfd", "ffdd", "ddff", "fdfdffdfd"])
def test_where_a_cell_is_among_all(every):
    """Whatever is forgotten at the front, the remaining ones keep their order."""
    for forgotten in range(every.count("f") + 1):
        kept, left = [], forgotten
        for place, letter in enumerate(every):
            if letter == "f" and left:
                left -= 1
            else:
                kept.append(place)
        found = [grids._place(every, forgotten, index) for index in range(len(kept))]
        assert found == kept


def test_items_by_state_by_key_and_in_pages(night, night_contract):
    """Filters find what they say; pages cover everything once, there and back."""
    broken.add(7)
    outcome = night.run(make(night_contract))

    async def look(app, row):
        seen = await grids.grid(app.journal, row, "enrich")

        async def some(**how):
            return await grids.listed(app.journal, row, seen, **how)

        keys = [one.key for one in (await some(limit=100)).items]
        there, after = [], -1
        while after is not None:
            page = await some(after=after, limit=3)
            there.append([one.key for one in page.items])
            after = page.after
        back, before = [there[-1]], page.before
        while before is not None:
            page = await some(before=before, limit=3)
            back.insert(0, [one.key for one in page.items])
            before = page.before
        failed = [one.key for one in (await some(state="failed")).items]
        named = [one.key for one in (await some(text="schlüssel-3")).items]
        nothing = await some(text="nothing")
        return keys, there, back, failed, named, nothing

    keys, there, back, failed, named, nothing = ask(night, outcome.name, look)
    assert list(chain(*there)) == keys == list(chain(*back))
    assert len(keys) == len(set(keys)) == 8
    assert failed == ["schlüssel-7"]
    assert named == ["schlüssel-3"]
    assert (nothing.items, nothing.before, nothing.after) == ([], None, None)


def test_one_item_whole(night, night_contract):
    """Its tries, its digest; a large output is cut and comes whole as bytes."""

    @job
    async def body(contract: night_contract) -> int:
        await shaky(3)
        return len(await large())

    name = night.run(body).name

    async def look(app, row):
        (small,) = (await views.items(app.journal, row, step="shaky")).items
        (big,) = (await views.items(app.journal, row, step="large")).items
        return (
            await grids.item(app.journal, app.blobs, row, small.seq, "shaky"),
            await grids.item(app.journal, app.blobs, row, big.seq, "large"),
            await grids.raw(app.journal, app.blobs, row, big.seq, "large"),
        )

    small, big, raw = ask(night, name, look)
    assert (small.value, small.text, small.size, small.intact) == (3, "3", 1, True)
    assert [one.message for one in small.tries] == ["ConnectionError: the line went dead"]
    assert (big.cut, big.size, big.value) == (True, 800_000, None)
    assert raw == "ä".encode() * 400_000

    async def wrong(app, row):
        await grids.item(app.journal, app.blobs, row, small.item.seq, "large")

    with pytest.raises(NotFound, match="no item number"):
        ask(night, name, wrong)

    async def gone(app, row):
        app.blobs.delete(big.digest)
        grids._beginning.cache_clear()
        return await grids.item(app.journal, app.blobs, row, big.item.seq, "large")

    lost = ask(night, name, gone)
    assert lost.missing
    assert lost.size is None
    with pytest.raises(BlobError):
        ask(
            night, name,
            lambda app, row: grids.raw(app.journal, app.blobs, row, big.item.seq, "large"),
        )  # fmt: skip


def test_a_failed_item_keeps_its_tries(night, night_contract):
    """What an earlier attempt met with is there beside what the last one did."""
    broken.add(0)

    @job
    async def body(contract: night_contract) -> int:
        return await enrich(0)

    name = night.run(body).name
    broken.clear()
    night.run(body)

    async def look(app, row):
        first, second = (await views.items(app.journal, row, step="enrich")).items
        return [
            await grids.item(app.journal, app.blobs, row, one.seq, "enrich")
            for one in (first, second)
        ]

    first, second = ask(night, name, look)
    assert (first.item.state, second.item.state) == ("retried", "done")
    assert [one.message for one in first.tries] == ["0 is broken"]
    assert [one.message for one in second.tries] == ["0 is broken"]


def test_a_step_that_is_none(night, night_contract):
    """A step that a run does not have is said to be none."""
    name = night.run(make(night_contract)).name
    with pytest.raises(NotFound, match="no step 'nothing'"):
        ask(night, name, lambda app, row: grids.grid(app.journal, row, "nothing"))


def test_a_map_that_comes_after_very_many_events_has_its_total(night, night_contract, monkeypatch):
    """The grid knows as much of it as the overview."""
    monkeypatch.setattr("nightproof.views.course.EVENTS", 3)

    @job
    async def late(contract: night_contract) -> int:
        for n in range(9):
            measure(f"m{n}", n)
        await enrich.map(range(4))
        return 1

    name = night.run(late).name
    seen = ask(night, name, lambda app, row: grids.grid(app.journal, row, "enrich"))
    assert (seen.done, seen.total) == (4, 4)

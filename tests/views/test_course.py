"""The course of a run, its steps as grids, one item whole, and its log in pages."""

import asyncio
import shlex
from itertools import chain

import pytest

from nightproof import (
    Retry,
    RunParked,
    StepFailed,
    effect,
    job,
    measure,
    sleep,
    step,
    views,
    wait_for,
)
from nightproof.errors import BlobError, NotFound
from nightproof.views import grid as grids
from nightproof.views.course import course
from nightproof.views.overview import overview
from nightproof.views.timeline import LOGS, log

broken: set[int] = set()
tries: list[int] = []


@step(retry=Retry(attempts=1))
async def enrich(i: int) -> int:
    """Fails for what is in `broken`."""
    if i in broken:
        raise ValueError(f"{i} is broken")
    return 2 * i


@step(retry=Retry(attempts=2, base=0.001))
async def shaky(i: int) -> int:
    """Fails the first time."""
    tries.append(i)
    if len(tries) == 1:
        raise ConnectionError("the line went dead")
    return i


@step
async def large() -> str:
    """More than is shown of an output."""
    return "ä" * 400_000


@effect(key="course/{n}")
async def say(n: int) -> int:
    """An act."""
    return n


@pytest.fixture(autouse=True)
def fresh():
    """Nothing broken, nothing tried."""
    broken.clear()
    tries.clear()


def make(Night):
    """A job with a map, a step that is tried again, a wait and an effect."""

    @job(name="main")
    async def body(contract: Night) -> int:
        found = await enrich.map(range(10), key=lambda i: f"schlüssel-{i}", concurrency=1)
        await shaky(1)
        await sleep(0.02)
        await say(contract.n)
        measure("total", sum(found))
        return sum(found)

    return body


def ask(night, name, question):
    """What a view says of a run."""

    async def of(app):
        return await question(app, await views.open_run(app.journal, name))

    return night.ask(of)


def test_course_of_a_completed_run(night, night_contract):
    """Lanes in the order of their beginning, retries, waits and effects where they were."""
    name = night.run(make(night_contract)).name
    found = ask(night, name, lambda app, row: course(app.journal, row))
    assert [(one.step, one.kind, one.done, one.total) for one in found.lanes] == [
        ("enrich", "map", 10, 10), ("shaky", "step", 1, None), ("say", "effect", 1, None),
    ]  # fmt: skip
    assert [one.outcome for one in found.bands] == ["completed"]
    assert [len(one.retries) for one in found.lanes] == [0, 1, 0]
    assert "the line went dead" in found.lanes[1].retries[0].what
    assert [(one.step, one.what, one.state) for one in found.effects] == [
        ("say", "course/0", "confirmed")
    ]
    (wait,) = found.waits
    assert not wait.open
    assert wait.end >= wait.begin
    assert (found.retries, found.partial) == (1, False)
    edges = [edge for lane in found.lanes for bar in lane.bars for edge in (bar.begin, bar.end)]
    assert 0 <= min(edges) <= max(edges) <= found.length


def test_a_death_ends_at_the_last_thing_on_record(night, night_contract, killed):
    """What died has an end, and what it did belongs to it and not to the attempt after it."""
    dying = [True]

    @step
    async def fragile() -> int:
        if dying[0]:
            raise killed
        return 1

    @job
    async def mortal(contract: night_contract) -> int:
        await enrich.map(range(3))
        return await fragile()

    night.die(mortal)
    dying[0] = False
    name = night.run(mortal).name
    found = ask(night, name, lambda app, row: course(app.journal, row))
    assert [one.outcome for one in found.bands] == ["died", "completed"]
    assert found.bands[0].ended is not None
    assert found.bands[0].end <= found.bands[1].begin
    first, second = found.lanes
    assert [(bar.attempt, bar.done) for bar in first.bars] == [(1, 3)]
    assert [(bar.attempt, bar.done) for bar in second.bars] == [(2, 1)]
    assert first.bars[0].end == found.bands[0].end


def test_very_many_events_are_cut_and_the_maps_are_known(night, night_contract, monkeypatch):
    """Of very many events the first and the last are read, and it says so."""
    monkeypatch.setattr("nightproof.views.course.EVENTS", 3)

    @job
    async def chatty(contract: night_contract) -> int:
        await enrich.map(range(2))
        for n in range(9):
            measure(f"m{n}", n)
        return 1

    name = night.run(chatty).name
    found = ask(night, name, lambda app, row: overview(app.journal, row))
    assert found.course.partial
    assert found.course.lanes[0].total == 2
    assert len(found.measures) < 9


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


def test_log_in_pages_is_the_whole_log(night, night_contract, killed):
    """Whatever the size of a page, walking back through the pages gives every line once."""
    dying = [True]

    @job(name="main")
    async def body(contract: night_contract) -> int:
        for n in range(12):
            measure(f"m{n}", n)
            await asyncio.sleep(0.002)
        await enrich.map(range(3))
        await say(1)
        if dying[0]:
            raise killed
        return 1

    night.die(body)
    dying[0] = False
    name = night.run(body).name
    whole = ask(night, name, lambda app, row: views.timeline(app.journal, row))
    for limit in (1, 4, 1000):

        async def walk(app, row, limit=limit):
            found, before = [], None
            while True:
                page = await log(app.journal, row, before=before, limit=limit)
                found = page.lines + found
                before = page.before
                if before is None:
                    return found

        lines = ask(night, name, walk)
        told = sorted((one.at, one.kind, one.text) for one in lines)
        expected = sorted((one.at, one.kind, one.text) for one in whole)
        assert [one[1:] for one in told if one[1] != "died"] == [
            one[1:] for one in expected if one[1] != "died"
        ]
        assert [one.kind for one in lines].count("died") == 1


@pytest.mark.parametrize("what", LOGS)
def test_log_narrowed(night, night_contract, what):
    """Each way to narrow a log leaves lines that are also in the whole one."""
    broken.add(2)
    name = night.run(make(night_contract)).name
    whole = ask(night, name, lambda app, row: log(app.journal, row, limit=1000))
    some = ask(night, name, lambda app, row: log(app.journal, row, what=what, limit=1000))
    texts = [line.text for line in whole.lines]
    assert [line.text for line in some.lines if line.text not in texts] == []
    present = {"failures": "failure", "attempts": "started"}
    if what in present:
        assert present[what] in [line.kind for line in some.lines]


def test_overview_of_a_parked_run(night, night_contract):
    """What it waits for, and the command that goes on with it."""

    @job
    async def patient(contract: night_contract) -> str:
        await say(5)
        return await wait_for("it's time", str)

    outcome = night.run(patient)
    assert isinstance(outcome.error, RunParked)
    found = ask(night, outcome.name, lambda app, row: overview(app.journal, row))
    assert found.status == "parked"
    assert found.next == f"nightproof signal {outcome.name} 'it'\"'\"'s time'"
    assert [one.key for one in found.effects] == ["course/5"]
    assert found.course.bands[-1].outcome == "parked"


def test_advice_for_names_that_a_shell_would_misread(night, night_contract):
    """A name that begins with a dash or holds a quote stays one word behind ``--``."""

    @job(name="--help 'x'")
    async def odd(contract: night_contract) -> int:
        return await enrich(0)

    broken.add(0)
    outcome = night.run(odd)
    found = ask(night, outcome.name, lambda app, row: views.summary(app.journal, row))
    assert shlex.split(found.next) == ["nightproof", "resume", "--", outcome.name]


def test_of_a_secret_nothing_is_shown(night, night_contract):
    """A secret's item says that nothing is kept, and what took it holds no text of it."""

    @step(secret=True)
    async def token() -> str:
        return "correct-horse-battery"

    @step
    async def use(token: str) -> int:
        return len(token)

    @job
    async def body(contract: night_contract) -> int:
        return await use(await token())

    name = night.run(body).name

    async def look(app, row):
        found = []
        for one in (await views.items(app.journal, row)).items:
            found.append(await grids.item(app.journal, app.blobs, row, one.seq, one.step))
            if one.step == "token":
                assert await grids.raw(app.journal, app.blobs, row, one.seq, "token") is None
        return found, await overview(app.journal, row), await log(app.journal, row)

    items, whole, lines = ask(night, name, look)
    assert [one.missing != "" for one in items] == [True, False]
    assert "correct-horse" not in repr((items, whole, lines))


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

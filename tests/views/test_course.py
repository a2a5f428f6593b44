"""The course of a run, and what its page begins with."""

import shlex

from course_jobs import ask, broken, enrich, make, say

from nightproof import (
    RunParked,
    job,
    measure,
    step,
    views,
    wait_for,
)
from nightproof.views import grid as grids
from nightproof.views.course import course
from nightproof.views.overview import overview
from nightproof.views.timeline import log


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

"""The read side: what commands and pages are told of a run."""

import pytest

from nightproof import RunParked, StepFailed, artifact, effect, job, measure, step, views, wait_for
from nightproof.errors import NotFound
from nightproof.journal.records import RunFilter

broken = False


@step
async def double(i: int) -> int:
    """Fails for 2 while `broken`."""
    if broken and i == 2:
        raise ValueError("two is broken")
    return 2 * i


@step
async def big() -> str:
    """A result that is spilled."""
    return "x" * 100_000


@effect(key="views/{n}")
async def say(n: int) -> int:
    """An act."""
    return n


def make(Night):
    """A job with some of everything, over the contract class of the tests."""

    @job(name="main")
    async def body(contract: Night) -> int:
        found = await double.map(range(4), key=lambda i: f"k{i}")
        measure("total", sum(found))
        await big()
        await artifact("a.txt", "text")
        await say(contract.n)
        return sum(found)

    return body


@pytest.fixture
def breaking(monkeypatch):
    """Step `double` fails for 2 from now on, until undone."""
    monkeypatch.setattr(f"{__name__}.broken", True)
    return monkeypatch


def read(night, name, question):
    """What a view says of a run."""

    async def ask(app):
        return await question(app.journal, await views.open_run(app.journal, name))

    return night.ask(ask)


def test_summary_of_a_completed_run(night, night_contract):
    """Contract, result, steps, effects, artifacts, measures and attempts."""
    outcome = night.run(make(night_contract))
    found = read(night, outcome.name, views.summary)
    assert found.run.status == "completed"
    assert found.run.alive is False
    assert found.contract["task"] == "night"
    assert found.result == 12
    counts = {one.step: (one.done, one.failed, one.total) for one in found.steps}
    assert counts == {"double": (4, 0, 4), "big": (1, 0, None), "say": (1, 0, None)}
    assert [(one.key, one.state, one.undecided) for one in found.effects] == [
        ("views/0", "confirmed", False)
    ]
    assert [one.name for one in found.artifacts] == ["a.txt"]
    assert found.measures == {"total": 12}
    assert [(one.n, one.outcome) for one in found.attempts] == [(1, "completed")]
    assert found.next == ""


def test_items_in_pages_cover_everything_once(night, night_contract):
    """Whatever the size of a page, walking the pages gives every item once, in order."""
    outcome = night.run(make(night_contract))
    whole = read(night, outcome.name, views.items).items
    for limit in (1, 2, 5):
        seen, after = [], -1
        while after is not None:

            async def page(journal, row, after=after, limit=limit):
                return await views.items(journal, row, after=after, limit=limit)

            found = read(night, outcome.name, page)
            seen += found.items
            after = found.next
        assert seen == whole
    assert [one.key for one in whole if one.step == "double"] == ["k0", "k1", "k2", "k3"]


def test_item_shows_inputs_output_and_size(night, night_contract):
    """Inputs as values, outputs as a short text; a spilled one as its blob."""
    outcome = night.run(make(night_contract))
    items = read(night, outcome.name, views.items).items
    first = items[0]
    assert (first.inputs, first.output, first.state, first.tries) == ([0], "0", "done", 1)
    (spilled,) = [one for one in items if one.step == "big"]
    assert spilled.blob is not None
    assert spilled.output == ""
    kinds = {one.step: one.kind for one in items}
    assert kinds == {"double": "step", "big": "step", "say": "effect"}


def test_failed_items_and_what_a_resume_makes_of_them(night, night_contract, breaking):
    """A failure counts until a later attempt tries again; then it is history."""
    outcome = night.run(make(night_contract))
    assert isinstance(outcome.error, StepFailed)

    async def failed(journal, row):
        return (await views.items(journal, row, failed=True)).items

    (one,) = read(night, outcome.name, failed)
    assert (one.key, one.state, one.error) == ("k2", "failed", "ValueError: two is broken")
    before = read(night, outcome.name, views.summary)
    assert before.steps[0].failed == 1
    assert before.error.step == "double"
    assert before.next == f"nightproof resume {outcome.name}"
    breaking.undo()
    night.run(make(night_contract))
    (one,) = read(night, outcome.name, failed)
    assert one.state == "retried"
    after = read(night, outcome.name, views.summary)
    assert after.steps[0].failed == 0
    assert [one.outcome for one in after.attempts] == ["failed", "completed"]


def test_timeline_places_a_death_between_attempts(night, night_contract, killed):
    """What died left no line; it is told at the last thing that it recorded."""
    alive = [False]

    @step
    async def fragile() -> int:
        if not alive[0]:
            raise killed
        return 1

    @job
    async def mortal(contract: night_contract) -> int:
        await double(1)
        return await fragile()

    night.die(mortal)
    (row,) = night.ask(lambda app: app.journal.runs(RunFilter()))
    found = read(night, row.name, views.summary)
    assert found.run.status == "running"
    assert found.run.alive is False
    assert found.next == f"nightproof resume {row.name}"
    alive[0] = True
    night.run(mortal)
    kinds = [line.kind for line in read(night, row.name, views.timeline)]
    story = [kind for kind in kinds if kind in {"started", "died", "resumed", "completed"}]
    assert story == ["started", "died", "resumed", "completed"]


def test_parked_run_says_what_it_waits_for(night, night_contract):
    """The wait, and the command that ends it."""

    @job
    async def patient(contract: night_contract) -> str:
        return await wait_for("go", str)

    outcome = night.run(patient)
    assert isinstance(outcome.error, RunParked)
    found = read(night, outcome.name, views.summary)
    assert found.run.waiting == "signal 'go' (text)"
    assert found.next == f"nightproof signal {outcome.name} 'go'"
    kinds = [line.kind for line in read(night, outcome.name, views.timeline)]
    assert kinds[-1] == "parked"


def test_runs_are_newest_first_and_a_name_may_be_short(night, night_contract):
    """The list, a unique beginning, and the message for what is not there."""
    body = make(night_contract)
    first = night.run(body).name
    second = night.run(body, replicate=-1).name

    async def names(app):
        return [one.run for one in await views.runs(app.journal, RunFilter())]

    assert night.ask(names) == [second, first]
    with pytest.raises(NotFound, match="no run 'nothing'"):
        read(night, "nothing", views.summary)

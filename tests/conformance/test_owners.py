"""One run has one owner; whoever dies is replaced, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
from conforming.jobs import plain, steps
from conforming.world import WORLD

from nightproof import AlreadyRunning
from nightproof.app import App
from nightproof.model.states import Kind


def test_of_two_starters_one_works(night, case, diary, switch):
    """The other says so and leaves, or waits with it for the one result."""
    first = night.begin(plain.gated, case())
    night.until(diary)
    second = night.begin(plain.gated, case())
    with contextlib.suppress(TimeoutError):  # it waits as well
        second.exception(timeout=0.5)
    switch("open")
    assert first.result(timeout=30).value == "announced"
    error = second.exception(timeout=30)
    assert error is None or isinstance(error, AlreadyRunning)
    if error is None:
        assert second.result().value == "announced"
    assert diary() == ["begun 1", "done 1", "begun 2", "done 2", "announced"]


def test_a_live_run_is_left_alone_by_another_process(night, case, diary, switch):
    """A start on the same store, by whatever engine, says who owns it and what to do."""

    async def start():
        app = App(night.embedded_settings)
        try:
            return await app.run(plain.gated, case())
        finally:
            await app.close()

    running = night.begin(plain.gated, case())
    night.until(diary)
    with pytest.raises(AlreadyRunning) as caught:
        asyncio.run(start())
    assert "already running on" in caught.value.message
    assert "nightproof watch" in caught.value.hint
    assert caught.value.exit_code == 0
    switch("open")
    assert running.result(timeout=30).value == "announced"
    assert diary().count("announced") == 1


def test_a_stopped_owner_is_fenced_off(night, case, diary, switch):
    """Stopped for longer than its lease, another takes over; when it goes on, it changes nothing."""
    thaw = night.freeze(plain.gated, case(), when=diary)
    assert diary() == ["begun 1"]
    switch("open")
    outcome = night.run(plain.gated, case())
    assert outcome.value == "announced"
    before = night.entries(outcome.name)
    thaw()
    assert diary().count("announced") == 1
    after = night.entries(outcome.name)
    assert [entry for entry in after if entry.kind != Kind.EVENT] == [
        entry for entry in before if entry.kind != Kind.EVENT
    ]
    assert night.run(plain.gated, case()).from_record


@pytest.mark.parametrize(
    ("point", "least"),
    [
        ("works:before#3", 2),
        ("works:mid#3", 2),
        ("works:after#3", 3),
        ("artifact:mid", 5),
        ("artifact:after", 5),
        ("complete:before", 5),
        ("batch:after#2", 1),
    ],
)
def test_killed_between_and_inside_steps(night, case, diary, point, least):
    """Nothing acknowledged is lost, nothing recorded runs again, the result is the same."""
    night.crash(plain.several, case(), at=point)
    name = night.row(plain.several, case()).name
    recorded = len(night.entries(name, 1))
    assert recorded >= least, "a result was handed out before it was on record"
    before = Counter(diary())
    outcome = night.run(plain.several, case())
    assert outcome.value == [0, 1, 2, 3, 4]
    assert outcome.status == "completed"
    assert Path(outcome.artifacts[0]["path"]).read_text() == "10\n"
    again = Counter(diary()) - before
    assert sum(again.values()) == 5 - recorded
    assert set(Counter(diary()).values()) <= {1, 2}
    row = night.row(plain.several, case())
    assert (row.status, row.owner) == ("completed", None)


def test_killed_behind_the_end_it_is_complete(night, case, diary):
    """The result was acknowledged: nothing runs again."""
    night.crash(plain.several, case(), at="complete:after")
    outcome = night.run(plain.several, case())
    assert (outcome.value, outcome.from_record) == ([0, 1, 2, 3, 4], True)
    assert len(diary()) == 5


def test_killed_again_and_again(night, case, diary):
    """Three kills in one night: the run gets further each time."""
    for n in (1, 2, 4):
        night.crash(plain.several, case(), at=f"step works:after#{n if n == 1 else 1}")
    outcome = night.run(plain.several, case())
    assert outcome.value == [0, 1, 2, 3, 4]
    assert sorted(diary()) == [f"works {n}" for n in range(5)]


def test_once_is_exactly_once(night, case, diary):
    """Killed after the user's commit and before ours: the step runs again, its row does not."""
    night.crash(plain.bookkeeping, case(), at="step books:mid#2")
    assert night.run(plain.bookkeeping, case()).status == "completed"
    assert diary().count("booked 1") == 2
    rows = sqlite3.connect(Path(night.environ[WORLD]) / f"{case().case}.rows")
    try:
        assert [n for (n,) in rows.execute("SELECT n FROM rows ORDER BY n")] == [0, 1, 2]
    finally:
        rows.close()


def test_the_same_contract_is_the_same_run(night, case):
    """Another is another run; a replicate is a deliberate fresh one."""
    first = night.run(steps.chain, case(n=3))
    other = night.run(steps.chain, case(n=5))
    assert other.name != first.name
    again = night.run(steps.chain, case(n=3), replicate=-1)
    assert again.name == f"{first.name}.1"
    assert (again.value, again.executed, again.from_record) == (first.value, 3, False)
    assert night.run(steps.chain, case(n=3), replicate=-1).name == f"{first.name}.2"

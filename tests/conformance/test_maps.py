"""Maps and streams: results in order, each item a row of its own, none done twice."""

from __future__ import annotations

from collections import Counter

import pytest
from conforming.jobs import maps

from nightproof import StepFailed
from nightproof.errors import MisuseError


def widest(told: list[str]) -> int:
    """How many items were at work at the same time, at most."""
    now = most = 0
    for line in told:
        now += {"begun": 1, "done": -1}.get(line.split()[0], 0)
        most = max(most, now)
    return most


def test_results_come_in_the_order_of_the_items(night, case, diary):
    """Whatever order they finish in; repeated and empty maps, plain steps, generators."""
    got = night.value(maps.squares, case(n=50))
    assert got == [[n * n + 1 for n in range(50)], [-n for n in range(20)], [], [5, 2]]
    assert widest(diary()) <= 7
    assert Counter(diary())["done 2"] == 2


def test_concurrency_can_be_changed_from_outside(night, case, diary):
    """An option of the run wins over the code, and is no part of its identity."""
    night.value(maps.bounded, case(n=30), concurrency={"work": 2})
    assert widest(diary()) <= 2
    assert night.run(maps.bounded, case(n=30), concurrency={"work": 5}).from_record


def test_only_missing_items_run_after_a_kill(night, case, diary):
    """kill -9 with items in flight: those on record never run again."""
    night.crash(maps.bounded, case(n=60), at="work:after#20")
    recorded = {entry.fp for entry in night.entries(night.row(maps.bounded, case(n=60)).name, 1)}
    before = Counter(line for line in diary() if line.startswith("begun"))
    outcome = night.run(maps.bounded, case(n=60))
    assert outcome.value == 60
    ran = Counter(line for line in diary() if line.startswith("begun"))
    again = sum(ran[line] - before[line] for line in before)
    assert len(recorded) >= 11
    assert again <= sum(before.values()) - len(recorded)
    assert max(ran.values()) <= 2


def test_keys_name_items_and_must_differ(night, case, diary):
    """The key is in the ledger; a key twice is an error that names it."""
    outcome = night.run(maps.with_keys, case(names=("a", "b", "c")))
    assert outcome.value == [0, 10, 20]
    inputs = sorted(entry.inputs for entry in night.entries(outcome.name, 1))
    assert inputs[0].startswith(b'{"key":"a","args":')
    wrong = night.run(maps.with_keys, case(names=("a", "b", "a")))
    assert wrong.status == "failed"
    assert isinstance(wrong.error, MisuseError)
    assert "'a'" in str(wrong.error)


def test_collected_failures_stand_in_their_places(night, case, diary):
    """Live and on replay alike, with the item's key."""
    night.crash(maps.collected, case(n=4), at="last:before")
    outcome = night.run(maps.collected, case(n=4))
    assert outcome.value == 2
    told = diary()
    assert sorted(told[:4]) == [f"item {n}" for n in range(4)]
    failed = "step 'odd_fails' [no {0}] failed: ValueError: odd {0} no {0}"
    assert told[4:] == [f"0; {failed.format(1)}; 2; {failed.format(3)}", "last"]


def test_the_first_failure_ends_the_map(night, case, diary):
    """The error names the item; those in flight are kept, few others begin."""
    outcome = night.run(maps.raised, case(n=5))
    assert outcome.status == "failed"
    assert isinstance(outcome.error, StepFailed)
    assert (outcome.error.key, outcome.error.reason) == ("5", "bad 5")
    done = set(diary())
    assert {f"done {n}" for n in range(5)} <= done
    assert len(done) < 200
    assert len(night.entries(outcome.name, 1)) == len(done)


def test_a_stream_is_ordered_and_can_be_left(night, case, diary):
    """After a crash behind it, it gives the same again and nothing runs twice."""
    night.crash(maps.streamed, case(n=200), at="last:before")
    done = Counter(line for line in diary() if line.startswith("done"))
    outcome = night.run(maps.streamed, case(n=200))
    assert outcome.value == [n * n for n in range(30)]
    assert set(done.values()) == {1}
    assert len(done) < 200
    after = Counter(line for line in diary() if line.startswith("done"))
    assert all(after[f"done {n}"] == 1 for n in range(30))


def test_effects_inside_items_act_once(night, case, diary):
    """kill -9 in the middle: what was posted and recorded is not posted again."""
    night.crash(maps.posts_all, case(n=20), at="effect posted:confirm#8")
    assert night.value(maps.posts_all, case(n=20)) == [f"posted {n}" for n in range(20)]
    acts = Counter(line for line in diary() if line.startswith("posted"))
    assert len(acts) == 20, "an item's key changed between two tries"
    confirmed = night.ask(lambda journal: journal.effects())
    ours = [row for row in confirmed if row.key.startswith(f"map/{case().case}/")]
    assert len(ours) == 20
    # Only an act whose confirmation was lost with the process may be tried again.
    assert sum(acts.values()) <= 20 + 4


def test_equal_maps_side_by_side_are_told_apart(night, case, diary):
    """Each has items of its own, in any order of execution."""
    night.crash(maps.twice, case(), at="last:before")
    outcome = night.run(maps.twice, case())
    assert outcome.value == [[n * n for n in range(6)]] * 2
    assert set(Counter(line for line in diary() if line.startswith("done")).values()) == {2}


@pytest.mark.parametrize("point", ["work:before#9", "work:mid#9", "batch:after#3"])
def test_a_map_survives_a_kill_anywhere(night, case, point):
    """Before an item, in it, between two commits: the result is the undisturbed one."""
    night.crash(maps.squares, case(n=40), at=point)
    got = night.value(maps.squares, case(n=40))
    assert got[0] == [n * n + 1 for n in range(40)]

"""Child runs: runs of their own, awaited by their parents."""

from __future__ import annotations

from conforming.jobs import family


def test_a_child_is_a_run_of_its_own(night, case, diary):
    """Its result is on record in both; a crash of the parent does not repeat it."""
    night.crash(family.parent, case(), at="last:before")
    outcome = night.run(family.parent, case())
    assert outcome.value == 20
    assert diary() == ["works 0", "works 2", "last"]
    assert night.run(family.child, case(n=2)).from_record
    assert night.row(family.child, case()).parent == night.row(family.parent, case()).id


def test_a_failed_child_fails_alike_on_replay(night, case, diary):
    """The parent catches the failure; after a crash it reads the same."""
    night.crash(family.forgiving, case(), at="last:before")
    assert night.run(family.forgiving, case()).status == "completed"
    worked, first, second, end = diary()
    assert (worked, end) == ("works 1", "last")
    assert first.startswith("StepFailed step 'works' failed")
    assert second.startswith("RunFailed")
    assert "child" in second


def test_resuming_a_failed_parent_tries_its_child_again(night, case, diary, switch):
    """The child's failed step runs again, and the parent completes."""
    outcome = night.run(family.parent, case(n=1))
    assert outcome.status == "failed"
    assert night.row(family.child, case(n=1)).status == "failed"
    switch("well")
    assert night.value(family.parent, case(n=1)) == 40
    assert diary() == ["works 1", "works 1", "works 3", "last"]


def test_a_signal_to_a_child_wakes_its_parent(night, case, diary):
    """Both are parked; who starts the parent again goes on with both."""
    contract = case(names=("waits",))
    outcome = night.run(family.parent, contract)
    assert outcome.status == "parked"
    for n in (0, 2):
        name = night.until(lambda n=n: waiting(night, contract, n))
        night.signal(name, "go", n + 1)
        if n == 0:
            night.until(lambda: parked(night, contract, 2))
    assert night.go_on(family.parent, contract).value == 20 + 1 + 3
    assert diary() == ["works 0", "works 2", "last"]


def waiting(night, contract, n):
    """The name of the child that waits for its signal."""
    row = night.row(family.child, contract.model_copy(update={"n": n}))
    return row.name if row is not None and row.status == "parked" else None


def parked(night, contract, n):
    """Go on with the parent until the next child waits."""
    night.run(family.parent, contract)
    return waiting(night, contract, n)


def test_replicates_have_replicates_of_their_children(night, case, diary):
    """The child runs again, under the same number."""
    assert night.value(family.parent, case()) == 20
    again = night.run(family.parent, case(), replicate=-1)
    assert again.value == 20
    assert again.name.endswith(".1")
    assert diary().count("works 0") == 2
    assert night.row(family.child, case(), replicate=1).status == "completed"


def test_cancelling_a_parent_cancels_its_child(night, case, diary):
    """No child is left that nobody would go on with."""
    contract = case(names=("pauses",))
    running = night.begin(family.parent, contract)
    night.until(lambda: "paused" in diary())
    night.cancel(night.row(family.parent, contract).name)
    assert running.result(timeout=30).status == "cancelled"
    assert night.row(family.child, contract).status == "cancelled"

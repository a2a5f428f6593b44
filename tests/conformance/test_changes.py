"""Edits between two attempts: no result shifts, and what changed is said."""

from __future__ import annotations

from collections import Counter

import pytest
from conforming.jobs import after, before

from nightproof.errors import CodeChanged


def test_edits_and_another_order_never_shift_results(night, case, diary):
    """Items inserted, removed and reordered after a kill: each call gets its own result."""
    night.crash(before.countries, case(), at="last:before")
    outcome = night.run(after.countries, case())
    wanted = ["NEW", "US", "JP", "FR"]
    assert outcome.value == [
        *(f"result of {country}" for country in wanted),
        *(f"item of {country}" for country in wanted),
        *(f"side of {country}" for country in wanted),
    ]
    counted = Counter(line for line in diary() if line != "last")
    assert set(counted.values()) == {1}, "a call that was on record ran again"
    assert len(counted) == 15
    assert any("DE" in found["message"] for found in outcome.divergences)


def test_edited_code_is_said_and_matching_results_are_used(night, case, diary):
    """A crash, an edit, a resume: the record counts, and the log says that the code is another."""
    night.crash(before.codes, case(n=1), at="last:before")
    outcome = night.run(after.codes, case(n=1))
    assert outcome.value == 2
    assert diary() == ["edited 1", "last"]
    assert set(outcome.code_changed) == {"step 'edited'"}
    assert {note["what"] for note in night.notes(outcome.name, "code-changed")} == {"step 'edited'"}


def test_strict_refuses_results_of_other_code(night, case, diary, switch):
    """It starts nothing; without it the run goes on."""
    assert night.run(before.falling, case(n=1)).status == "failed"
    switch("well")
    outcome = night.run(after.falling, case(n=1), strict=True)
    assert isinstance(outcome.error, CodeChanged)
    assert "step 'edited'" in outcome.error.message
    assert diary() == ["edited 1", "falls"]
    assert night.value(after.falling, case(n=1)) == 2
    assert diary() == ["edited 1", "falls", "falls"]


def test_a_complete_run_says_when_its_code_has_changed(night, case, diary):
    """The record is returned with the change; --strict refuses, --replicate runs it afresh."""
    night.value(before.days, case())
    outcome = night.run(after.days, case())
    assert (outcome.value, outcome.from_record) == ("mon", True)
    assert set(outcome.code_changed) == {"job 'days'"}
    with pytest.raises(CodeChanged, match="--replicate"):
        night.value(after.days, case(), strict=True)
    fresh = night.run(after.days, case(), replicate=-1)
    assert (fresh.value, fresh.code_changed) == ("tue", {})


def test_what_is_not_asked_for_again_is_a_divergence(night, case, diary):
    """It names step and argument, with the recorded and the present value."""
    night.crash(before.days, case(), at="last:before")
    outcome = night.run(after.days, case())
    assert outcome.value == "tue"
    told = {found["step"]: found for found in outcome.divergences}
    assert set(told) == {"dated", "removed"}
    assert told["dated"]["arguments"] == [{"argument": "day", "recorded": "mon", "now": "tue"}]
    assert night.notes(outcome.name, "divergence")
    # Where another process had begun the last step before it died, it may end first.
    assert sorted(diary()) == ["dated mon", "dated tue", "last", "removed"]

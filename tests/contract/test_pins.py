"""What a provider's report of the model that answered is worth."""

import json

import pytest

from nightproof import Contract, ModelPin
from nightproof.contract.pins import Pinned, pin_for, pins_of, status_of

PIN = Pinned("gemini-3.5-flash", "gemini-3.5-flash-002", False)


@pytest.mark.parametrize(
    ("reported", "status"),
    [
        ("gemini-3.5-flash-002", "matched"),
        ("models/gemini-3.5-flash-002", "matched"),
        ("publishers/google/models/gemini-3.5-flash-002", "matched"),
        ("gemini-3.5-flash-003", "mismatched"),
        ("gemini-3.5-pro", "mismatched"),
        ("gemini-3.5-flash", "alias echoed"),
        (None, "not reported"),
        ("", "not reported"),
    ],
)
def test_status_against_a_pin(reported, status):
    """Only the pinned version itself counts as matched."""
    assert status_of("gemini-3.5-flash-002", reported, PIN) == status


def test_an_alias_as_its_own_pin_is_never_matched():
    """Where id and pin are one alias, hearing it back proves nothing."""
    assert status_of("m-latest", "m-latest", Pinned("m-latest", "m-latest", False)) == (
        "alias echoed"
    )


@pytest.mark.parametrize(
    ("requested", "reported", "status"),
    [
        ("gpt-5-2026-01-01", "gpt-5-2026-01-01", "matched"),
        ("gpt-5", "gpt-5-2026-01-01", "matched"),
        ("gpt-5", "gpt-5", "alias echoed"),
        ("gpt-5", "gpt-5-mini", "mismatched"),
        ("gpt-5", "gpt-5-mini-2026-01-01", "mismatched"),
        ("claude-x", "claude-x@20260101", "matched"),
        ("gpt-5", "gpt-4-0613", "mismatched"),
        ("gpt-5-2026-01-01", "gpt-5-2026-06-01", "mismatched"),
    ],
)
def test_status_without_a_pin(requested, reported, status):
    """What was asked for, or a version of the alias that was."""
    assert status_of(requested, reported) == status


def test_pins_are_found_anywhere_in_a_contract():
    """In objects and lists, with what a mismatch does."""
    document = {
        "model": {"id": "a", "pinnedVersion": "models/a-001"},
        "steps": [{"judge": {"id": "b", "pinnedVersion": "b-002", "onMismatch": "halt"}}, 3],
    }
    assert pins_of(document) == [Pinned("a", "a-001", False), Pinned("b", "b-002", True)]


def test_a_request_goes_by_the_pin_that_names_it():
    """By version first, then by id; a name that no pin has goes by none."""
    other = Pinned("gemini-3.5-flash-002", "x-001", False)
    assert pin_for("models/gemini-3.5-flash-002", [other, PIN]) == PIN
    assert pin_for("gemini-3.5-flash", [other, PIN]) == PIN
    assert pin_for("gpt-5", [other, PIN]) is None


class Asking(Contract):
    """A contract with a pin."""

    task: str = "asking"
    model: ModelPin


def test_the_new_field_changes_no_digest():
    """A pin that says nothing of mismatches has the canonical form it always had."""
    contract = Asking(model=ModelPin(id="m", pinned_version="m-001"))
    assert "onMismatch" not in json.loads(contract.canonical())["model"]
    halting = Asking(model=ModelPin(id="m", pinned_version="m-001", on_mismatch="halt"))
    assert json.loads(halting.canonical())["model"]["onMismatch"] == "halt"
    assert halting.digest != contract.digest

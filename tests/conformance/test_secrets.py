"""Expiring and secret steps: made when needed, kept while good, never written down."""

from __future__ import annotations

from conforming.jobs import secrets

from nightproof.model import clock


def test_a_secret_is_written_nowhere(night, case, diary):
    """Not as a result, an argument, part of one, an item's argument or an error; after a kill too."""
    night.crash(secrets.secretive, case(), at="last:before")
    outcome = night.run(secrets.secretive, case())
    assert outcome.value == ["jp", "de", "ValueError"]
    assert outcome.divergences == []
    told = diary()
    assert {line: told.count(line) for line in ("fetch JP", "fetch DE", "call", "act")} == {
        "fetch JP": 1, "fetch DE": 1, "call": 1, "act": 1,
    }  # fmt: skip
    assert 1 <= told.count("made") <= 3
    written = night.written()
    assert b"fetch" in written, "nothing was looked at"
    for form in (secrets.SECRET, secrets.SECRET.encode().hex()):
        assert form.encode() not in written


def test_an_expiring_result_is_kept_while_it_is_good(night, case, diary):
    """Replayed before its time, made again after it."""
    night.crash(secrets.expiring, case(), at="note:before")
    before = diary().count("ticket")
    clock.block(1.1)
    outcome = night.run(secrets.expiring, case())
    assert before == 1
    assert diary().count("ticket") == 2
    assert outcome.value == ["ticket 1", "ticket 2"]
    assert [line for line in diary() if line.startswith("enter")] == ["enter 1", "enter 2"]

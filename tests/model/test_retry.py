"""Retry policies: waits, limits, and who decides what an exception means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nightproof.errors import Exhausted, MisuseError, Permanent, Transient, Unauthenticated
from nightproof.model import clock
from nightproof.model.retry import Retry
from nightproof.model.triage import Kind, Triage

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
AGAIN = Triage(Kind.TRANSIENT)


class Fixed(clock.System):
    """A clock that stands still, and a die that always shows `share`."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def wall(self) -> float:  # type: ignore[override]
        return NOW.timestamp()

    def entropy(self, size: int) -> bytes:  # type: ignore[override]
        return int(self.share * 256**size).to_bytes(size, "big")


@pytest.fixture(autouse=True)
def fixed() -> Iterator[Fixed]:
    """Half of every range is drawn."""
    source = Fixed()
    with clock.use(source):
        yield source


def test_waits_double_up_to_the_cap() -> None:
    """Half of base * 2**n is drawn here, and never more than half of the cap."""
    retry = Retry(attempts=99, base=1.0, cap=60.0)
    waits = [retry.delay(n, AGAIN, 0) for n in (0, 1, 2, 5, 6, 7, 97)]
    assert waits == [0.5, 1.0, 2.0, 16.0, 30.0, 30.0, 30.0]


def test_jitter_is_full(fixed: Fixed) -> None:
    """From nothing up to, but not including, the whole range."""
    retry = Retry(attempts=9)
    fixed.share = 0.0
    assert retry.delay(3, AGAIN, 0) == 0.0
    fixed.share = 1 - 2**-50
    wait = retry.delay(3, AGAIN, 0)
    assert wait is not None
    assert 7.99 < wait < 8.0


def test_the_servers_wait_is_a_minimum_and_wins_over_the_cap() -> None:
    """Retry-After 120 is 120 s, whatever the cap; a shorter one changes nothing."""
    retry = Retry(cap=10)
    assert retry.delay(0, Triage(Kind.TRANSIENT, retry_after=120), 0) == 120
    assert retry.delay(2, Triage(Kind.TRANSIENT, retry_after=0.1), 0) == 2.0


def test_a_quota_is_waited_for_until_its_reset() -> None:
    """A known reset is a minimum too; one in the past is none."""
    in_an_hour = Triage(Kind.EXHAUSTED, resets_at=NOW + timedelta(hours=1))
    assert Retry().delay(0, in_an_hour, 0) == 3600
    past = Triage(Kind.EXHAUSTED, resets_at=NOW - timedelta(hours=1))
    assert Retry().delay(0, past, 0) == 0.5


def test_attempts_are_used_up() -> None:
    """Four attempts are four tries: three waits."""
    waits = [Retry(attempts=4).delay(n, AGAIN, 0) for n in range(5)]
    assert [wait is None for wait in waits] == [False, False, False, True, True]
    assert Retry(attempts=1).delay(0, AGAIN, 0) is None


@pytest.mark.parametrize("within", [10, 10.0, timedelta(seconds=10)])
def test_within_bounds_the_end_of_the_wait(within: Any) -> None:
    """A wait that would end after `within` is not begun."""
    retry = Retry(attempts=9, within=within)
    assert retry.delay(0, AGAIN, 9.5) == 0.5
    assert retry.delay(0, AGAIN, 9.6) is None
    assert retry.delay(0, AGAIN, 11) is None
    assert retry.delay(0, Triage(Kind.TRANSIENT, retry_after=11), 0) is None


def test_a_permanent_failure_is_not_waited_for() -> None:
    """No attempts are spent on what cannot succeed."""
    assert Retry().delay(0, Triage(Kind.PERMANENT), 0) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attempts": 0}, "Retry(attempts=0): expected a positive integer"),
        ({"attempts": 2.5}, "Retry(attempts=2.5): expected a positive integer"),
        ({"attempts": True}, "Retry(attempts=True): expected a positive integer"),
        ({"base": -1}, "Retry(base=-1): expected a number of seconds, 0 or more"),
        ({"base": "1"}, "Retry(base='1'): expected a number of seconds, 0 or more"),
        ({"cap": float("inf")}, "Retry(cap=inf): expected a number of seconds, 0 or more"),
        ({"cap": float("nan")}, "Retry(cap=nan): expected a number of seconds, 0 or more"),
        ({"within": 0}, "Retry(within=0): expected a positive number of seconds or a timedelta"),
        ({"classify": 3}, "Retry(classify=3): expected a function of the exception"),
    ],
)
def test_values_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    """The message shows the call and what was expected."""
    with pytest.raises(MisuseError) as caught:
        Retry(**settings)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (Transient, Kind.TRANSIENT),
        (Exhausted, Kind.EXHAUSTED),
        (Unauthenticated, Kind.UNAUTHENTICATED),
        (Permanent, Kind.PERMANENT),
        (MisuseError, Kind.PERMANENT),
        (Kind.TRANSIENT, Kind.TRANSIENT),
        (Triage(Kind.EXHAUSTED, retry_after=3.0), Kind.EXHAUSTED),
    ],
)
def test_classify_overrules_the_built_in_triage(said: Any, kind: Kind) -> None:
    """A class, a kind or a whole triage: all are understood."""
    assert Retry(classify=lambda _: said).triage(TypeError("x")).kind is kind


def test_classify_without_an_opinion_leaves_it_to_the_rules() -> None:
    """None is not an answer."""
    retry = Retry(classify=lambda exc: Permanent if isinstance(exc, OSError) else None)
    assert retry.triage(TypeError()).kind is Kind.PERMANENT
    assert retry.triage(RuntimeError()).kind is Kind.TRANSIENT
    assert retry.triage(ConnectionResetError()).kind is Kind.PERMANENT


def test_classify_keeps_what_the_rules_found_besides() -> None:
    """Only the kind is overruled: a refused connection still did not happen."""
    found = Retry(classify=lambda _: Permanent).triage(ConnectionRefusedError(111, "refused"))
    assert (found.kind, found.happened) == (Kind.PERMANENT, "no")


def test_a_broken_classify_is_said() -> None:
    """Neither its exception nor a strange answer is swallowed into endless retries."""

    def broken(exc: BaseException) -> Any:
        raise KeyError("status")

    found = Retry(classify=broken).triage(ConnectionResetError())
    assert found.kind is Kind.PERMANENT
    assert "classify raised KeyError" in found.reason
    strange: Any = lambda _: "transient?"  # noqa: E731 - a function that breaks its type
    found = Retry(classify=strange).triage(ConnectionResetError())
    assert found.kind is Kind.PERMANENT
    assert "classify returned 'transient?'" in found.reason

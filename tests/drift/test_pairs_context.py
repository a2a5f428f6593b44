"""Pairs of real runs that differ by what they met: files, time, signals, chance."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from planted_pairs import make, rows_step, twice

from nightproof import job, now, step, wait_for
from nightproof.views.documents import plain

pytestmark = pytest.mark.sqlite_only


def test_unrecorded_randomness_is_sampling_or_unseen_context(night, night_contract, pair):
    """The record cannot part os.urandom from an unseen file: neither is named."""
    rows = rows_step(10, lambda: int.from_bytes(os.urandom(7), "big"))
    body = make(night_contract, rows)
    document = plain(pair(*twice(night, body, body)).document())
    assert document["drift"] is True
    assert document["cause"] is None
    assert document["verdicts"]["input"] == "excluded"
    assert document["verdicts"]["model"] == "excluded"
    assert document["verdicts"]["sampling"] == "consistent with"
    assert document["verdicts"]["context"] == "not testable"


def test_file_in_home_is_context(night, night_contract, pair, tmp_path, monkeypatch):
    """What a step read of its own accord is on record, with what it was each time."""
    monkeypatch.setenv("HOME", str(tmp_path))
    setting = tmp_path / ".setting"
    rows = rows_step(10, lambda: len(setting.read_text()))
    body = make(night_contract, rows)
    setting.write_text("1")
    a = night.run(body).name
    setting.write_text("12")
    b = night.run(body, replicate=-1).name
    document = plain(pair(a, b).document())
    assert document["cause"] == "context"
    (found,) = [one for one in document["evidence"] if one["cause"] == "context"]
    assert found["item"] == f"file {setting}"
    assert found["a"].startswith("sha256:")
    assert found["a"] != found["b"]
    assert document["firstDivergence"]["step"] == "rows"


def timed(Night, **options):
    """A job whose step is given the time."""

    @step(name="fetch")
    def fetch(since: datetime) -> str:
        return f"rows since {since.isoformat()}"

    @job(name="main", **options)
    async def body(contract: Night) -> str:
        return await fetch(now())

    return body


def test_time_of_day_is_context(night, night_contract, pair, fake_clock):
    """The times that the bodies were given are on record, and they differ."""
    body = timed(night_contract)
    a = night.run(body).name
    fake_clock.at += 86400
    document = plain(pair(a, night.run(body, replicate=-1).name).document())
    assert document["cause"] == "context"
    (found,) = [one for one in document["evidence"] if one["cause"] == "context"]
    assert found["item"] == "now()"
    assert "2027-01-15" in found["a"]
    assert "2027-01-16" in found["b"]


def test_normalising_is_declared_and_hides_nothing(night, night_contract, pair, fake_clock):
    """With "times" it is no drift, and what differs before it is shown all the same."""
    body = timed(night_contract, normalise=["times"])
    a = night.run(body).name
    fake_clock.at += 86400
    found = pair(a, night.run(body, replicate=-1).name)
    document = plain(found.document())
    assert document["drift"] is False
    assert document["cause"] is None
    first = document["firstDivergence"]
    assert first["step"] == "fetch"
    assert first["a"]["raw"] != first["b"]["raw"]
    assert first["a"]["normalised"] == first["b"]["normalised"]
    assert (found.comparison.raw, found.comparison.real) == (2, 0)


def test_normalising_leaves_what_it_does_not_name(night, night_contract, pair, fake_clock):
    """An amount that differs beside a time is still drift."""
    amounts = iter([1, 2])

    @step(name="fetch")
    def fetch() -> dict[str, Any]:
        return {"at": f"{datetime.fromtimestamp(fake_clock.at, UTC)}", "amount": next(amounts)}

    @job(name="main", normalise=["times"])
    async def body(contract: night_contract) -> int:
        return (await fetch())["amount"]

    found = plain(pair(*twice(night, body, body)).document())
    assert found["drift"] is True
    assert found["firstDivergence"]["step"] == "fetch"


def test_signal_that_differs_is_context(night, night_contract, pair):
    """Each run was told something else."""

    @job(name="main")
    async def body(contract: night_contract) -> str:
        return await wait_for("go", str)

    names = []
    for replicate, word in [(0, b'"a"'), (1, b'"b"')]:
        name = night.run(body, replicate=replicate).name
        night.send(name, "go", word)
        assert night.run(body, replicate=replicate).value == json.loads(word)
        names.append(name)
    document = plain(pair(*names).document())
    assert document["cause"] == "context"
    assert document["firstDivergence"]["step"] == "result"

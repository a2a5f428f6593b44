"""contract new: periods resolved once, datasets hashed, the result valid and frozen."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from nightproof.contract import Contract, Dataset, ModelPin, Window, check, new_contract
from nightproof.errors import ContractError

AT = datetime(2026, 10, 28, 3, 0, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def test_the_weekly_contract(
    weekly: Callable[..., Any], weekly_class: type[Any], rates: Path
) -> None:
    """Words and a path become exactly the JSON that a person would have written."""
    made = new_contract(
        weekly_class,
        AT,
        BERLIN,
        {
            "inputs.siteId": "fx-desk",
            "inputs.period": "last week",
            "inputs.datasetUri": "rates.csv",
            "model": {"id": "gemini-3.5-flash", "pinnedVersion": "gemini-3.5-flash-002"},
            "model.temperature": "0",
            "model.seed": "7",
            "promptTemplateId": "weekly-report@7",
        },
        base=rates.parent,
    )
    assert made == weekly()
    assert check(weekly_class, made).digest == check(weekly_class, weekly()).digest


class Daily(Contract):
    task: Literal["daily"] = "daily"
    window: Window
    countries: list[str] = Field(default=["DE"])
    limit: int | None = 5
    fx: Dataset | None = None
    others: list[Dataset] = Field(default=[])
    pin: ModelPin | None = None


def test_defaults(rates: Path) -> None:
    """A required window is yesterday unless the class says otherwise; the rest is its default."""
    made = new_contract(Daily, AT, BERLIN)
    assert made == {
        "contractVersion": "1",
        "task": "daily",
        "window": {
            "start": "2026-10-27T00:00:00+01:00",
            "end": "2026-10-28T00:00:00+01:00",
            "zone": BERLIN,
        },
        "countries": ["DE"],
        "limit": 5,
        "others": [],
    }

    class Weekly(Daily):
        default_period = "last week"

    assert new_contract(Weekly, AT, BERLIN)["window"]["start"] == "2026-10-19T00:00:00+02:00"


def test_text_is_read_by_the_kind_of_the_field(rates: Path) -> None:
    """Text becomes a list, a number or null where the field is one; paths become datasets."""
    made = new_contract(
        Daily,
        AT,
        BERLIN,
        {
            "countries": '["FR", "IT"]',
            "limit": "null",
            "fx": str(rates),
            "others": [rates.as_uri()],
            "window": "2026-10-19",
        },
    )
    digest = hashlib.sha256(rates.read_bytes()).hexdigest()
    assert made["countries"] == ["FR", "IT"]
    assert made["limit"] is None  # kept, since leaving it out would mean 5
    assert made["fx"] == {"uri": rates.as_uri(), "sha256": digest}
    assert made["others"] == [made["fx"]]
    assert made["window"]["end"] == "2026-10-20T00:00:00+02:00"


def test_a_large_seed_stays_text() -> None:
    """A seed that JSON would round is kept as it was written."""
    pin = {"pin.id": "m", "pin.pinnedVersion": "m-001", "pin.seed": str(2**60)}
    assert new_contract(Daily, AT, BERLIN, pin)["pin"]["seed"] == str(2**60)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"window": "lately"}, "'lately' is not a period"),
        ({"windoww": "x"}, "windoww: is not a field here; did you mean window?"),
        ({"fx": "none.csv"}, "does not exist"),
        ({"fx": "ftp://a.org/x"}, "use file: or https:"),
        ({"limit": "many"}, 'limit: is "many"; write a whole number'),
        ({"limit": "1", "limit.x": "2"}, "limit was given as a value"),
        ({"pin": {"id": "gpt"}}, "pin.pinnedVersion: is missing"),
    ],
    ids=str,
)
def test_what_cannot_be_made(overrides: dict[str, Any], said: str) -> None:
    """A mistake is refused in the words of the contract."""
    with pytest.raises(ContractError) as caught:
        new_contract(Daily, AT, BERLIN, overrides)
    assert said in str(caught.value)


def test_what_is_missing_is_named_with_the_way_to_give_it(weekly_class: type[Any]) -> None:
    """Required fields that nobody gave are all named, with --set."""
    with pytest.raises(ContractError) as caught:
        new_contract(weekly_class, AT, BERLIN)
    said = str(caught.value)
    assert "inputs.siteId: is missing" in said
    assert "model.pinnedVersion: is missing" in said
    assert "--set FIELD=VALUE" in said


def test_zone_and_time_are_checked_first() -> None:
    """An unknown zone or a naive time is refused before anything is read."""
    with pytest.raises(ContractError, match="not a time zone"):
        new_contract(Daily, AT, "Mars/Base")
    with pytest.raises(ContractError, match="no offset"):
        new_contract(Daily, datetime(2026, 1, 1), BERLIN)  # noqa: DTZ001


def test_the_room_imports_nothing_heavy() -> None:
    """Importing contracts loads no network, and not what only `contract new` needs."""
    code = (
        "import asyncio, sys\nfrom pydantic import BaseModel\n"
        "class M(BaseModel): x: int\n"
        "before = set(sys.modules)\nimport nightproof.contract\n"
        "print(*sorted(m for m in set(sys.modules) - before if '.contract' not in m))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(out.stdout.split())
    assert not loaded & {"ssl", "http.client", "urllib.request", "email", "difflib", "tempfile"}
    assert not [name for name in loaded if name.startswith("nightproof.contract.download")]

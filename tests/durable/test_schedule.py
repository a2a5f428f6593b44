"""Declaring when a job is due."""

from datetime import datetime, timedelta
from typing import Literal

import pytest

from nightproof import Contract, Window, job
from nightproof.durable.schedule import Schedule
from nightproof.errors import MisuseError
from nightproof.model.timetable import Timetable


class Nightly(Contract):
    """One day."""

    task: Literal["nightly"] = "nightly"
    window: Window


@pytest.fixture
def revenue():
    """A fresh job."""

    @job(name="revenue")
    async def revenue(contract: Nightly) -> str:
        return str(contract.window)

    return revenue


def test_decorated_functions_stay_functions(revenue):
    """`nightly` remembers the schedule on the job and returns the function as it was."""

    @revenue.nightly("04:30", tz="Asia/Tokyo")
    def tonight(fire: datetime) -> Nightly:
        return Nightly(window=Window.yesterday("America/Los_Angeles", fire))

    [found] = revenue.schedules
    assert isinstance(found, Schedule)
    assert (found.job, found.name) == ("revenue", "revenue/tonight")
    assert found.times == Timetable("Asia/Tokyo", "04:30")
    assert (found.missed, found.catch_up) == ("catch up", 7)
    fire = datetime.fromisoformat("2026-10-16T04:30:00+09:00")
    assert tonight(fire) == found.contract(fire)
    assert tonight(fire).window.date.isoformat() == "2026-10-14"  # 12:30 on the 15th there


def test_a_contract_may_be_made_by_a_function_that_is_there(revenue):
    """`contract=` takes it, also twice under two names; `cron` takes an expression."""

    def make(fire: datetime) -> Nightly:
        return Nightly(window=Window.yesterday("UTC", fire))

    revenue.nightly("04:30", tz="UTC", contract=make, missed="skip", catch_up=2)
    revenue.cron("0 6 * * 1", tz="UTC", contract=make, name="mondays")
    first, second = revenue.schedules
    assert (first.name, first.missed, first.catch_up) == ("revenue/make", "skip", 2)
    assert (second.name, second.times.cron) == ("revenue/mondays", "0 6 * * 1")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"missed": "later"}, "missed='later'"),
        ({"catch_up": 0}, "catch_up=0"),
        ({"catch_up": True}, "catch_up=True"),
        ({"tz": ""}, "tz has to be a text"),
        ({"tz": timedelta(0)}, "tz has to be a text"),
        ({"at": 430}, "time has to be a text"),
        ({"contract": lambda fire: None}, "has no name"),
    ],
)
def test_what_cannot_be_meant(revenue, how, said):
    """Refused where it is written, with the job's name."""
    given = {"at": "04:30", "tz": "UTC", "contract": make_nothing, **how}
    with pytest.raises(MisuseError, match=said) as caught:
        revenue.nightly(given.pop("at"), **given)
    assert "job 'revenue'" in caught.value.message
    assert revenue.schedules == []


def make_nothing(fire: datetime) -> Nightly:
    """Never called."""
    raise NotImplementedError


def test_two_schedules_need_two_names(revenue):
    """The name is what the store remembers it by."""
    revenue.nightly("04:30", tz="UTC", contract=make_nothing)
    with pytest.raises(MisuseError, match="two schedules revenue/make_nothing"):
        revenue.nightly("05:30", tz="UTC", contract=make_nothing)

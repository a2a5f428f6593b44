"""What the API leads to can be asked for: page by page, and under every name."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from nightproof import app
from nightproof.views import audit
from nightproof.views import search as searching


def test_the_api_goes_on_with_a_search(dashboard: Any, monkeypatch: pytest.MonkeyPatch):
    """`next` is taken as `after`, until everything was found."""

    def asked(after: str | None) -> Any:
        more = f"&after={quote(after)}" if after else ""
        answer = dashboard.get(f"/api/search?q=item-00010{more}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    whole = [one["key"] for one in asked(None)["items"]]
    monkeypatch.setattr(searching, "SHOWN", 1)
    found, after, times = [], None, 0
    while times == 0 or after:
        page = asked(after)
        found += [one["key"] for one in page["items"]]
        after, times = page["next"], times + 1
        assert times < 50
    assert times > 1
    assert found == whole != []


@pytest.mark.parametrize("name", ["a\nb", "a\r\n", "\u2028", "a/b", "%2e", "a?b#c"])
def test_the_api_takes_every_name(dashboard: Any, name: str):
    """What is not there is said by the run's name, whatever marks that has."""
    answer = dashboard.get(f"/api/runs/{quote(name, safe='')}/log")
    assert answer.status_code == 404
    assert f"there is no run '{name}'" in answer.json()["detail"]


def test_both_days_of_a_range_are_included(dashboard: Any):
    """Runs of the last day are listed, those of the day behind it are not, in the zone of whoever asks."""
    runs = dashboard.get("/api/runs?limit=1").json()["runs"]
    zone = ZoneInfo("Pacific/Kiritimati")
    at = datetime.fromisoformat(runs[0]["created"]).astimezone(zone).date()

    def listed(since: date, until: date) -> bool:
        page = dashboard.get(f"/runs?since={since}&until={until}&tz=Pacific/Kiritimati").text
        return runs[0]["run"] in page

    day = timedelta(days=1)
    assert listed(at, at)
    assert listed(at - day, at)
    assert not listed(at - day, at - day)
    assert not listed(at + day, at + day)


def test_what_was_done_to_a_run_that_is_gone_is_found_by_its_name(own_house: Any, serving: Any):
    """Also where another run's name begins with it; else the beginning of a name will do."""
    run = own_house.runs["parked"]
    gone = run[:-2]

    async def note() -> None:
        journal = app.open_journal(own_house.settings())
        for name in (gone, run):
            await journal.audit(audit.intent("ana@desk", "cancel", name, "nightproof cancel"))
        await journal.close()

    asyncio.run(note())
    ours = serving(own_house)
    for asked, meant in ((gone, gone), (run, run), (run[:-1], run), ("none", None)):
        acts = ours.get(f"/api/audit?run={asked}").json()["acts"]
        assert {one["run"] for one in acts} == ({meant} if meant else set())

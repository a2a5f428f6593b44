"""Quotas and the ledger of effects."""

import asyncio
import re
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from nightproof import app
from nightproof.journal.listing import AuditRow, EffectFilter
from nightproof.model import clock, identity
from nightproof.model.states import EffectState
from nightproof.views.ledger import ledger, place
from nightproof.views.quotas import QuotaSpec, QuotaView, UseView
from nightproof.web.assets import asset
from nightproof.web.drawing import shares, spark_lines
from nightproof.web.pages.ledgers import allowed, day
from nightproof.web.rendering import environment


def test_the_ledger_shows_every_effect_and_what_is_in_doubt(dashboard: Any):
    """An effect whose outcome is unknown says so and leads to the decision; others do not."""
    page = dashboard.get("/effects").text
    assert "doubt/x" in page
    assert "nightly/2026-11-21" in page
    held = dashboard.house.runs["held"]
    assert f'href="/act/resolve?run={held}&amp;effect=doubt%2Fx"' in page
    assert page.count("/act/resolve") == 1


def test_the_ledger_by_state_text_and_run(dashboard: Any):
    """Every filter leaves out what it should, and an unknown state is none."""
    doubt = dashboard.get("/effects?state=doubt").text
    assert "doubt/x" in doubt
    assert "nightly/2026-11-21" not in doubt
    some = dashboard.get("/effects?q=11-20").text
    assert "nightly/2026-11-20" in some
    assert "nightly/2026-11-21" not in some
    one = dashboard.get(f"/effects?run={dashboard.house.runs['crashed']}").text
    assert "nightly/2026-11-21" in one
    assert "nightly/2026-11-20" not in one
    assert "No effect is like that" in dashboard.get("/effects?q=nowhere").text
    assert "doubt/x" in dashboard.get("/effects?state=%3Cb%3E&before=-3").text


def test_the_ledger_of_a_run_that_is_not_there(dashboard: Any):
    """A run that is unknown is a page that says so."""
    answer = dashboard.get("/effects?run=nobody")
    assert answer.status_code == 404
    assert "there is no run &#39;nobody&#39;" in answer.text


def test_pages_of_the_ledger(house: Any):
    """A page says where the next one begins, the last says None; nothing is twice."""

    async def all_of_it() -> list[list[str]]:
        reader = app.open_reader(house.settings())
        found, before = [], None
        while True:
            part = await ledger(reader, EffectFilter(limit=2, before=before))
            found.append([one.key for one in part.effects])
            if part.next is None:
                return found
            before = place(part.next)

    found = asyncio.run(all_of_it())
    assert [len(part) for part in found] == [2, 2, 1]
    assert len({key for part in found for key in part}) == 5


def test_an_effect_that_a_live_run_tries_is_not_to_be_decided(house: Any, monkeypatch: Any):
    """While a process works on its run, an effect in doubt is being tried."""
    monkeypatch.setattr("nightproof.views.trying.tried", lambda effect, run: True)
    want = EffectFilter(states=(EffectState.FAILED, EffectState.INTENDED))
    found = asyncio.run(ledger(app.open_reader(house.settings()), want))
    assert [(one.undecided, one.standing) for one in found.effects] == [(False, "parked")]


def test_everything_says_the_same_of_a_live_intention(own_house: Any, serving: Any):
    """Ledger, page and API of a run: while its process lives nothing of it is in doubt."""
    run = own_house.runs["held"]
    ours = serving(own_house)

    def undecided() -> list[bool]:
        found = [
            *ours.get(f"/api/runs/{run}").json()["effects"],
            *ours.get(f"/api/runs/{run}/effects").json()["effects"],
            *(one for one in ours.get("/api/effects").json()["effects"] if one["run"] == run),
        ]
        return [one["undecided"] for one in found]

    assert undecided() == [True, True, True]
    here, now = identity.here(), clock.now_ms()
    with closing(sqlite3.connect(own_house.folder / ".nightproof" / "journal.db")) as db, db:
        db.execute(
            "UPDATE run SET status = 'running', owner_host = ?, owner_pid = ?, owner_started = ?, "
            "beat = ?, lease_until = ? WHERE name = ?",
            (here.host, here.pid, here.started, now, now + 60_000, run),
        )
    page = ours.get(f"/runs/{run}").text
    assert "being tried" in page
    assert "in doubt" not in page
    assert "/act/resolve" not in page
    assert undecided() == [False, False, False]


def test_an_effect_of_a_run_that_is_gone_is_nobodys_to_decide(own_house: Any, serving: Any):
    """Retention keeps the ledger: the effect is shown, without a link that leads nowhere."""
    with closing(sqlite3.connect(own_house.folder / ".nightproof" / "journal.db")) as db, db:
        db.execute("DELETE FROM run WHERE name = ?", (own_house.runs["held"],))
    ours = serving(own_house)
    page = ours.get("/effects?q=doubt/x").text
    assert "which is gone" in page
    assert "/act/resolve" not in page
    (one,) = ours.get("/api/effects?contains=doubt/x").json()["effects"]
    assert (one["undecided"], one["standing"]) == (False, "gone")


def test_quotas_show_what_is_used(dashboard: Any):
    """A quota is shown with its limit in words and how much of it is in use."""
    page = dashboard.get("/quotas").text
    assert "admob" in page
    assert "9,000 requests a minute" in page
    assert re.search(r'aria-label="\d+ of 9,000 requests"', page)


def test_the_audit_trail(own_house: Any, serving: Any):
    """What a person had done is listed with what came of it, of all runs or of one."""

    async def acts() -> None:
        journal = app.open_journal(own_house.settings())
        for run, code in (("a-1", 0), ("b-2", 1), ("", None)):
            at = await journal.audit(AuditRow(0, 0, "ada@home", "resume", run, "nightproof resume"))
            if code is not None:
                await journal.audited(at, code, "it <b>ended</b>")
        await journal.close()

    asyncio.run(acts())
    running = serving(own_house)
    page = running.get("/audit").text.split("<main")[1]
    assert page.count("<tr class=") == 2
    assert page.index(">outcome unknown<") < page.index(">failed<") < page.index(">done<")
    assert "it &lt;b&gt;ended&lt;/b&gt;" in page
    one = running.get("/audit?run=a-1").text
    assert "a-1" in one
    assert "b-2" not in one
    assert "Newest" in running.get("/audit?before=2").text
    assert "Nobody has had anything done" in running.get("/audit?run=c").text


def test_an_allowance_in_words():
    """Windows, days and money read like a sentence, each with the part that a sharer has of it."""
    spec = QuotaSpec(
        "6/min", 1000, "00:00 America/Los_Angeles", "500/10s", "20/day", {"telemetry": 0.25}
    )
    one = QuotaView("ads", spec, None, "", [], [])
    parts = [("requests", 4.5), ("requests a day", 750), ("tokens", 375), ("money", 15)]
    told = [allowed(one, UseView(what, "", 0, cap, None)) for what, cap in parts]
    assert told == [
        "4.5 requests a minute",
        "750 requests a day",
        "375 tokens in 10.0 s",
        "15 a day of money",
    ]
    assert day(one) == "00:00 America/Los_Angeles"
    assert day(QuotaView("ads", QuotaSpec("6/min"), None, "", [], [])) == ""


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ([1, 1], 4, [(0.0, 25.0), (25.0, 25.0)]),
        ([999_999, 1], 1_000_000, [(0.0, 99.502), (99.502, 0.498)]),
        ([0, 0], 0, [(0.0, 0.0), (0.0, 0.0)]),
        ([5], 3, [(0.0, 100.0)]),
    ],
)
def test_parts_of_a_bar(counts: list[int], total: int, expected: list[tuple[float, float]]):
    """Parts are proportional, what is there at all is seen, nothing is wider than the bar."""
    assert shares(counts, total) == expected


def test_sparklines_have_gaps_where_values_are_missing():
    """A missing value ends a line, one value alone is a point, none at all draws nothing."""
    assert spark_lines([None, None]) == []
    assert spark_lines([1, None, 2]) == ["3.0,21.0 3.0,21.0", "117.0,3.0 117.0,3.0"]
    assert spark_lines([1, 1]) == ["3.0,12.0 117.0,12.0"]


def test_an_address_changes_with_what_the_file_holds(dashboard: Any):
    """The address of a file beside the pages names its content, and answers with it."""
    address = asset("app.js")
    assert re.fullmatch(r"/static/app\.js\?v=[0-9a-f]{12}", address)
    assert dashboard.get(address).status_code == 200


def test_a_chart_is_a_table_too():
    """What a chart draws is also there in numbers, and its data cannot leave their attribute."""
    template = environment().from_string(
        '{% import "macros.html" as m %}{{ m.chart("line", data, "Took") }}'
    )
    data = {"x": [0], "time": True, "series": [{"label": '"><script>', "values": [1234.5]}]}
    text = template.render(data=data)
    assert "1,234.5" in text
    assert '<time datetime="1970-01-01T00:00:00+00:00">' in text
    assert "<script>" not in text
    assert '"x"' not in text

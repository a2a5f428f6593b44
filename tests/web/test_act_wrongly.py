"""Somebody who acts makes mistakes: what comes back says which field is meant, and is kept."""

import asyncio
import re
from typing import Any

import pytest

from nightproof import app
from nightproof.journal.schedules import ScheduleRow
from nightproof.model import clock


def fields(page: str) -> dict[str, str]:
    """The attributes of each field of the form, by name; of a choice those of its first."""
    found: dict[str, str] = {}
    for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", page.partition("<main")[2]):
        name = re.search(r' name="(\w+)"', tag)
        if name and 'type="hidden"' not in tag:
            found.setdefault(name[1], tag)
    return found


@pytest.mark.parametrize(
    ("what", "query", "given", "wrong"),
    [
        ("signal", {"run": "parked"}, {"name": "go", "payload": "{"}, "payload"),
        ("signal", {"run": "parked"}, {"name": "", "payload": '"x"'}, "name"),
        ("resolve", {"run": "held", "effect": "doubt/x"}, {}, "decision"),
        (
            "resolve",
            {"run": "held", "effect": "doubt/x"},
            {"decision": "happened", "result": "sent"},
            "result",
        ),
    ],
)
def test_the_field_that_is_wrong_is_named(
    visitor: Any, runs: dict[str, str], what: str, query: Any, given: Any, wrong: str
):
    """Its tag says so and where it is said why; the title says so before all else."""
    asked = {**query, "run": runs[query["run"]]}
    form = visitor.form(f"/act/{what}?" + "&".join(f"{k}={v}" for k, v in asked.items()))
    for name, tag in fields(visitor.page).items():
        assert "aria-invalid" not in tag, name
    assert "<title>Error" not in visitor.page
    answer = visitor.post(what, {**form, **given})
    assert answer.status_code == 422
    assert answer.text.count('id="wrong"') == 1
    assert "<title>Error: " in answer.text
    found = fields(answer.text)
    said = {name for name, tag in found.items() if 'aria-invalid="true"' in tag}
    assert said == {wrong}
    assert 'aria-describedby="wrong" autofocus' in found[wrong]
    assert visitor.trail() == []


def scheduled(house: Any) -> str:
    """The house has a schedule, at 04:30 UTC; its name."""

    async def keep() -> None:
        journal = app.open_journal(house.settings())
        spec = '{"tz": "UTC", "at": "04:30"}'
        await journal.keep_schedule(
            ScheduleRow("nightly/tonight", "nightly", "jobs.py", spec, 1000, clock.now_ms())
        )
        await journal.close()

    asyncio.run(keep())
    return "nightly/tonight"


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("tomorrow", "", "Give both days"),
        ("0001-01-01", "2026-10-02", "too long ago"),
        ("2026-10-03", "2026-10-02", "before the first"),
        ("2126-10-03", "2126-10-04", "was not due in these days"),
        ("2026-09-01", "9999-12-31", "press the button again"),
    ],
)
def test_days_of_a_backfill_that_are_none(
    visitor: Any, own_house: Any, first: str, last: str, said: str
):
    """The schedule that was chosen stays chosen; the first day is asked for again."""
    name = scheduled(own_house)
    form = visitor.form("/act/backfill")
    answer = visitor.post("backfill", {**form, "schedule": name, "from": first, "to": last})
    assert answer.status_code == 422
    assert said in answer.text
    assert f'<option value="{name}" selected>' in answer.text
    assert 'aria-invalid="true"' in fields(answer.text)["from"]
    assert all(" required" in tag for tag in fields(answer.text).values())


def test_a_mistyped_year_is_asked_for_twice(visitor: Any, own_house: Any):
    """Seven years of nights are not begun by one press, and other days are asked for anew."""
    name = scheduled(own_house)
    form = visitor.form(f"/act/backfill?schedule={name}")
    days = {"schedule": name, "from": "2019-10-01", "to": "2026-10-02"}
    answer = visitor.post("backfill", {**form, **days})
    assert answer.status_code == 422
    assert "more than 1,000 times" in answer.text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text))
    other = visitor.post("backfill", {**form, **hidden, **days, "to": "2026-10-01"})
    assert other.status_code == 422
    assert visitor.trail() == []
    visitor.form(f"/act/backfill?schedule={name}&from=2026-10-01&to=2026-10-31")
    assert "These days have 31 times." in visitor.page
    assert "press the button again" not in visitor.page


def test_what_makes_no_sense_any_more_says_so_in_the_title(visitor: Any, runs: dict[str, str]):
    """Two people decide the same: the second one hears that it is decided, and nothing is done."""
    path = f"/act/resolve?run={runs['held']}&effect=doubt/x"
    first, second = visitor.form(path), visitor.form(path)
    told = visitor.came(visitor.post("resolve", {**first, "decision": "retry"}))
    assert told["state"] == "done"
    late = visitor.post("resolve", {**second, "decision": "happened", "result": '"sent"'})
    assert late.status_code == 409
    assert "<title>Refused: " in late.text
    assert "there is nothing to decide" in late.text
    assert len(visitor.trail()) == 1


def test_a_form_of_before_a_restart_leads_to_a_new_one(visitor: Any, runs: dict[str, str]):
    """It does nothing; a link opens the same form, and what was typed is in no address."""
    form = visitor.form(f"/act/signal?run={runs['parked']}&name=go")
    answer = visitor.post("signal", {**form, "csrf": "old", "name": "go", "payload": '"typed"'})
    assert answer.status_code == 403
    assert "no longer valid" in answer.text
    [link] = re.findall(r'href="([^"]+)">Open the form again', answer.text)
    assert "typed" not in link
    visitor.form(link.replace("&amp;", "&"))
    assert 'name="name" value="go"' in visitor.page
    assert visitor.trail() == []


def test_what_was_sent_is_not_asked_for_again(visitor: Any, runs: dict[str, str]):
    """The signal is there and nobody has gone on yet: pages and commands say that, not "send"."""
    parked = runs["parked"]
    page = visitor.client.get(f"/runs/{parked}").text
    assert "It waits for the signal" in page
    assert page.index(">Send go<") < page.index(">Resume<")
    assert "Waits for a signal" in visitor.client.get("/").text
    visitor.act("signal", {"name": "go", "payload": '"x"'}, run=parked)
    page = visitor.client.get(f"/runs/{parked}").text
    assert "What it waited for has come" in page
    assert "It waits for the signal" not in page
    assert page.index(">Resume<") < page.index(">Send go<")
    assert f"<code>nightproof resume {parked}</code>" in page
    assert "Waits for a signal" not in visitor.client.get("/").text
    assert visitor.show(parked)["next"] == f"nightproof resume {parked}"
    assert visitor.act("resume", run=parked)["outcome"] == "completed"

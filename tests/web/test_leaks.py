"""What must not leave the dashboard: to a stranger, or into the arguments of a process."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from nightproof import app, config
from nightproof.serving.children import Children, Ended, How
from nightproof.views import audit
from nightproof.web import asking
from nightproof.web.acting import Plan, carry_out
from nightproof.web.commands import Commands
from nightproof.web.dashboard import Dashboard
from nightproof.web.pages import health as probes
from nightproof.web.pages import live as news
from nightproof.web.security.access import Access
from nightproof.web.site import Site

TOKEN = "a-token-of-some-length"
OUTCOME = "decided by ana"
DSN = "postgresql://me:hush@db/n"


@pytest.fixture
def locked(own_house: Any) -> Iterator[str]:
    """The URL of a dashboard with a token, whose trail has one act: number 1."""
    settings = own_house.settings()

    async def note() -> int:
        journal = app.open_journal(settings)
        number = await journal.audit(audit.intent("ana@desk", "cancel", "r-1", "nightproof x"))
        await journal.audited(number, 0, OUTCOME)
        await journal.close()
        return number

    assert asyncio.run(note()) == 1
    made = Dashboard(settings, print, token=TOKEN)
    yield f"http://127.0.0.1:{made.start('127.0.0.1', 0)}"
    made.stop()


def field(page: str) -> str:
    """The token of a page's first form."""
    return page.partition('name="csrf" value="')[2].partition('"')[0]


def sign_in(one: httpx2.Client) -> None:
    """Give the token."""
    given = {"csrf": field(one.get("/login").text), "token": TOKEN}
    assert one.post("/login", data=given).status_code == 303


@pytest.mark.parametrize("path", ["/login", "/%6cogin", "/static/none", "/healthz", "/none"])
def test_a_stranger_is_not_told_what_people_did(locked: str, path: str):
    """``told=`` shows an act of the trail to those only who have signed in."""
    answer = httpx2.get(f"{locked}{path}?told=1", timeout=30)
    assert OUTCOME not in answer.text
    assert "ana@desk" not in answer.text
    with httpx2.Client(base_url=locked, timeout=30) as one:
        sign_in(one)
        assert OUTCOME in one.get("/runs?told=1").text


def test_a_command_is_told_of_the_store_where_nobody_else_looks(
    own_house: Any, monkeypatch: pytest.MonkeyPatch
):
    """A URL may hold a password: it is in no argument, and means the same in any folder."""
    started: list[tuple[list[str], How]] = []

    def start(self: Children, key: str, label: str, words: list[str], how: How) -> None:
        started.append((words, how))
        ended = Ended(key, label, 0, {}, 0.0)
        asyncio.get_running_loop().call_soon(self._ended, ended)

    monkeypatch.setattr(Children, "start", start)
    monkeypatch.chdir(own_house.folder)
    settings = config.Settings(store="sqlite:///.nightproof/journal.db")
    plan = Plan("cancel", "r-1", ("cancel", "--", "r-1"), "/runs/r-1", folder="/")

    async def act() -> None:
        journal = app.open_journal(settings)
        site = Site(settings, journal, app.open_blobs(settings), Commands(print))
        await carry_out(site, plan, "ana")
        await site.commands.close()
        await journal.close()

    asyncio.run(act())
    [(words, how)] = started
    assert words == ["cancel", "--json", "--", "r-1"]
    file = own_house.folder / ".nightproof" / "journal.db"
    assert how.environ["NIGHTPROOF_STORE"] == f"sqlite:///{file}"


def test_what_a_run_is_told_is_no_argument_and_not_in_the_trail(own_house: Any):
    """Other users read the arguments of processes, and the trail is kept when a run is removed."""
    settings = own_house.settings()
    held, parked = own_house.runs["held"], own_house.runs["parked"]

    async def plans() -> list[Plan | None]:
        journal = app.open_journal(settings)
        site = Site(settings, journal, app.open_blobs(settings), Commands(print))
        decided = {"run": held, "effect": "doubt/x", "decision": "happened", "result": '"hush"'}
        asked = [
            await asking.resolve(site, decided),
            await asking.signal(site, {"run": parked, "name": "go", "payload": '"hush"'}),
        ]
        await site.commands.close()
        await journal.close()
        assert not any(one.error or one.refused for one in asked)
        return [one.plan for one in asked]

    for plan in asyncio.run(plans()):
        assert plan is not None
        assert plan.given == b'"hush"'
        assert "hush" not in plan.command
        assert plan.words[-1] == "-"
        row = audit.intent("ana", plan.act, plan.run, plan.command, plan.given)
        assert "hush" not in row.command
        assert "6 bytes, sha256:" in row.command


def test_news_end_with_the_session(locked: str, monkeypatch: pytest.MonkeyPatch):
    """Whoever signs out hears no more, on any page that is still open."""
    monkeypatch.setattr(news, "BEAT_SECONDS", 0.1)
    with (
        httpx2.Client(base_url=locked, timeout=30) as one,
        httpx2.Client(base_url=locked, timeout=30, cookies=one.cookies) as other,
    ):
        sign_in(one)
        other.cookies.update(one.cookies)
        with one.stream("GET", "/live") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry")
            out = field(other.get("/quotas").text)
            assert other.post("/logout", data={"csrf": out}).status_code == 303
            heard = list(islice(lines, 200))
            assert "id: over" in heard
            assert len(heard) < 200, "it goes on"


@pytest.mark.parametrize(("token", "told"), [("", True), (TOKEN, False)])
def test_a_probe_of_a_stranger_hears_only_how_it_is(
    house: Any, monkeypatch: pytest.MonkeyPatch, token: str, told: bool
):
    """What runs and what does not work is for those who may look."""
    document = {"status": "failing", "running": ["nightly-1"], "problems": {"store": DSN}}
    monkeypatch.setattr(probes.numbers, "health", lambda server: (503, document))
    site = Site(house.settings(), None, None, None, object(), Access(token=token))
    for signed_in in (False, True):
        request = SimpleNamespace(
            app=SimpleNamespace(state=SimpleNamespace(site=site)),
            state=SimpleNamespace(signed_in=signed_in),
        )
        answer = asyncio.run(probes.health(request))
        assert answer.status_code == 503
        assert (b"nightly-1" in answer.body) is (told or signed_in)
        assert b"hush" not in answer.body


def test_one_form_acts_once_where_the_store_lets_others_go_first():
    """A database is waited for: the second post comes before the first has begun."""
    acts: list[int] = []

    async def act(n: int) -> str:
        acts.append(n)
        return "/"

    async def post() -> None:
        commands = Commands(print)
        assert commands.begun("form") is None
        first = commands.once("form", act(1))
        assert commands.once("form", act(2)) is first
        assert commands.begun("form") is first
        await first
        assert commands.once("form", act(3)) is first

    asyncio.run(post())
    assert acts == [1]

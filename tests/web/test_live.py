"""News of the journal on ``/live``: at once, once, after every kind of interruption."""

import asyncio
import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from nightproof import app, config
from nightproof.web import live as lives
from nightproof.web.dashboard import Dashboard
from nightproof.web.pages import live as pages
from nightproof.web.site import Site


@pytest.fixture
def start(own_house: Any) -> Iterator[Callable[..., Dashboard]]:
    """Starts dashboards on the house; they end with the test."""
    started: list[Dashboard] = []

    def begin(port: int = 0) -> Dashboard:
        made = Dashboard(own_house.settings(), print, token="")
        started.append(made)
        made.start("127.0.0.1", port)
        return made

    yield begin
    for made in started:
        made.stop()


class Stream:
    """One listener; `next` is the id of the next event, "beat" for a comment, None at the end."""

    def __init__(self, url: str, query: str = "", **headers: str) -> None:
        parts = urlsplit(url)
        self._line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._line.request("GET", f"/live{query}", headers=named)
        self._answer = self._line.getresponse()
        self.status = self._answer.status
        self.headers = self._answer.headers

    def next(self) -> str | None:
        found: dict[str, str] = {}
        while line := self._answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(":")
            if line == "\n" and ("event" in found or "" in found):
                return found["id"] if found.get("event") == "changed" else "beat"
            found[name] = value.strip()
        return None

    def close(self) -> None:
        self._line.close()


def state(made: Dashboard) -> str:
    """What a page that is rendered now says that it has seen."""
    parts = urlsplit(made.url)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)) as line:
        line.request("GET", "/audit")
        found = re.search(r'data-since="([^"]*)"', line.getresponse().read().decode())
    assert found
    return found[1]


def write(house: Any, what: str) -> None:
    """Another process writes: a signal for one of the runs."""

    async def send() -> None:
        journal = app.open_journal(house.settings())
        row = await journal.find(house.runs[what])
        await journal.send(row.id, "news", b"1")
        await journal.close()

    asyncio.run(send())


def test_a_listener_hears_of_a_change(own_house: Any, start: Any):
    """A page that is up to date hears nothing but the beat, until something is written."""
    made = start()
    with closing(Stream(made.url, f"?since={state(made)}")) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        write(own_house, "parked")
        first = stream.next()
        assert first not in (None, "beat")
        write(own_house, "parked")
        assert stream.next() not in (None, "beat", first)


def test_quiet_where_nothing_happens(start: Any, monkeypatch: pytest.MonkeyPatch):
    """Who is up to date gets the beat alone: by the page's state, or by the last event."""
    monkeypatch.setattr(pages, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lives, "ROUND_SECONDS", 0.05)
    made = start()
    with closing(Stream(made.url, f"?since={state(made)}")) as stream:
        assert [stream.next(), stream.next()] == ["beat", "beat"]
    with closing(Stream(made.url, "?since=something-old")) as stream:
        last = stream.next()
        assert last not in (None, "beat")
    with closing(Stream(made.url, f"?last={last}")) as stream:
        assert stream.next() == "beat"
    # A browser that connects by itself gives the address that it was given at first.
    with closing(Stream(made.url, "?since=something-old", Last_Event_ID=last)) as stream:
        assert stream.next() == "beat"


def test_what_happened_while_nobody_listened(own_house: Any, start: Any):
    """Between the page and its first line, and between two lines: told at once."""
    made = start()
    since = state(made)
    write(own_house, "parked")
    with closing(Stream(made.url, f"?since={since}")) as stream:
        last = stream.next()
        assert last not in (None, "beat")
    write(own_house, "parked")
    with closing(Stream(made.url, "", Last_Event_ID=last)) as stream:
        assert stream.next() not in (None, "beat", last)


def test_after_a_restart(own_house: Any, start: Any):
    """The stream of a dashboard that ends is closed; the next one tells everybody to look again."""
    made = start()
    port = int(made.url.rstrip("/").rpartition(":")[2])
    stream = Stream(made.url, f"?since={(since := state(made))}")
    made.stop()
    assert stream.next() in (None, "beat")
    assert stream.next() is None
    stream.close()
    made = start(port)
    with closing(Stream(made.url, f"?since={since}")) as stream:
        assert stream.next() not in (None, "beat")


def test_only_one_run(own_house: Any, start: Any, monkeypatch: pytest.MonkeyPatch):
    """Who looks at a run is not woken by another one, but by its own, also after a restart."""
    monkeypatch.setattr(pages, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lives, "ROUND_SECONDS", 0.05)
    made = start()
    of_run = f"?run={quote(own_house.runs['parked'])}"
    everything = Stream(made.url, f"?since={state(made)}")
    stream = Stream(made.url, of_run)
    last = stream.next()
    assert last not in (None, "beat")
    write(own_house, "held")
    while everything.next() == "beat":
        pass
    assert stream.next() == "beat"
    write(own_house, "parked")
    while (other := stream.next()) == "beat":
        pass
    assert other not in (None, last)
    for one in (everything, stream):
        one.close()
    made.stop()
    made = start()
    with closing(Stream(made.url, of_run, Last_Event_ID=other)) as stream:
        assert stream.next() == "beat", "a run's state means the same to every dashboard"


def test_a_run_that_is_none(start: Any, monkeypatch: pytest.MonkeyPatch):
    """A name that no run has, whatever it is made of, is listened to in vain."""
    monkeypatch.setattr(pages, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(lives, "ROUND_SECONDS", 0.05)
    made = start()
    for name in ("gone", "../x", "<script>", "é" * 3000, "%"):
        with closing(Stream(made.url, f"?run={quote(name)}")) as stream:
            assert (stream.status, stream.next()) == (200, "none")
            assert stream.next() == "beat"


def test_a_run_that_cannot_be_looked_at(start: Any, monkeypatch: pytest.MonkeyPatch):
    """The stream of a run goes on when the store fails, and has news: the page says the rest."""
    monkeypatch.setattr(lives, "ROUND_SECONDS", 0.05)
    made = start()

    async def broken(*_: Any) -> str:
        raise OSError("no disk")

    monkeypatch.setattr(lives.news, "mark", broken)
    with closing(Stream(made.url, "?run=nightly")) as stream:
        first = stream.next()
        made._loop.call_soon_threadsafe(made._site.live.poke)
        assert stream.next() not in (None, "beat", first)


def test_as_many_as_may(start: Any, monkeypatch: pytest.MonkeyPatch):
    """One more is told to come back; whoever leaves makes room."""
    monkeypatch.setattr(lives, "MOST_LISTENERS", 2)
    monkeypatch.setattr(pages, "BEAT_SECONDS", 0.05)
    made = start()
    streams = [Stream(made.url) for _ in range(2)]
    assert all(one.next() for one in streams)
    with closing(Stream(made.url)) as late:
        assert (late.status, late.headers["retry-after"]) == (503, "30")
    for one in streams:
        one.close()
    live = made._site.live
    while live._listeners or live._watching:
        state(made)
    with closing(Stream(made.url)) as stream:
        assert stream.status == 200


def test_what_the_dashboard_writes_itself(start: Any, monkeypatch: pytest.MonkeyPatch):
    """A store does not notice its own connection's writes: those who write say so."""
    monkeypatch.setattr(lives, "ROUND_SECONDS", 0.05)
    made = start()
    with closing(Stream(made.url, f"?since={state(made)}")) as stream:
        made._loop.call_soon_threadsafe(made._site.live.poke)
        assert stream.next() not in (None, "beat")


def test_a_store_that_fails_is_no_end(start: Any, monkeypatch: pytest.MonkeyPatch):
    """Pages are asked again, so that they can say what is wrong; the stream goes on."""
    monkeypatch.setattr(lives, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(lives, "TICK_SECONDS", 1000)
    made = start()
    with closing(Stream(made.url, f"?since={state(made)}")) as stream:

        async def broken() -> bool:
            raise OSError("no disk")

        monkeypatch.setattr(made._site.journal, "changed", broken)
        first = stream.next()
        assert first not in (None, "beat")
        assert stream.next() not in (None, "beat", first)


def test_time_alone_changes_pages(start: Any, monkeypatch: pytest.MonkeyPatch):
    """A killed process and a missed night write nothing: pages look again now and then."""
    monkeypatch.setattr(lives, "ROUND_SECONDS", 0.05)
    monkeypatch.setattr(lives, "TICK_SECONDS", 0.1)
    made = start()
    with closing(Stream(made.url, f"?since={state(made)}")) as stream:
        assert stream.next() not in (None, "beat")


def test_costly_pages_are_asked_for_less_often():
    """Many open pages that take long leave most of the time to others; one page hears each second."""
    live = lives.Live(None)
    live._listeners = {lives.Listener() for _ in range(40)}
    assert live.pause == lives.ROUND_SECONDS
    for _ in range(50):
        live.took(0.05)
    assert live.pause == pytest.approx(40 * 0.05 / lives.SHARE, rel=0.01)
    for _ in range(50):
        live.took(2.0)
    assert live.pause == lives.MOST_PAUSE_SECONDS


class Lagging:
    """A journal that, like a database, tells of a step only a little later."""

    def __init__(self) -> None:
        self.told = False

    async def present(self) -> None:
        """It is there."""

    async def changed(self) -> bool:
        """As told."""
        told, self.told = self.told, False
        return told


@pytest.mark.parametrize("at_once", [True, False])
def test_a_change_between_a_page_and_its_news(monkeypatch: pytest.MonkeyPatch, at_once: bool):
    """What happens to a run while its page is on its way is heard of, on every store."""
    marks = {"now": "before"}

    async def mark(journal: Any, run: str) -> str:
        return marks["now"]

    monkeypatch.setattr(lives.news, "mark", mark)
    monkeypatch.setattr(pages, "BEAT_SECONDS", 0.05)

    async def hear() -> list[str]:
        journal = Lagging()
        live = lives.Live(journal, at_once)
        seen = live.state  # the page is made
        marks["now"] = "after"  # the run goes on
        journal.told = at_once
        news = pages._news(live, "r", seen, lambda: False)
        told = [await anext(news) for _ in range(2)]
        await news.aclose()
        return told

    assert "id: after" in asyncio.run(hear())[1]


def test_every_store_says_whether_it_tells_at_once(house: Any):
    """A file does; a database server does not."""
    sites = [
        Site(config.Settings(store=store), None, None, None)
        for store in (house.store, "postgresql://nobody@127.0.0.1:1/none")
    ]
    assert [site.live.current(lives.Listener("r"), site.live.state, "m") for site in sites] == [
        True, False,
    ]  # fmt: skip

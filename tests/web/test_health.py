"""What probes and scrapers hear, whatever the server beside the dashboard is at."""

import asyncio
import shutil
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from nightproof import app
from nightproof.observe import Watcher
from nightproof.serving.server import Server
from nightproof.web.dashboard import Dashboard


class Nothing:
    """No schedules."""

    def changed(self) -> bool:
        return False

    async def read(self) -> list[Any]:
        return []


def test_probes_are_answered_while_the_server_hangs(own_house: Any):
    """The server's own loop does nothing at all here: it is told to be ill, not silent."""
    settings = own_house.settings()

    async def main() -> None:
        journal = app.open_journal(settings)
        server = Server(journal, Nothing(), print, 30_000, timedelta(hours=1))
        watcher = Watcher(settings, [])
        made = Dashboard(settings, print, server, token="", watcher=watcher)
        made.start("127.0.0.1", 0)
        try:
            ill = httpx2.get(made.url + "healthz", timeout=30)
            assert (ill.status_code, ill.json()["status"]) == (503, "failing")
            assert "nightproof_watch_timestamp_seconds" not in httpx2.get(made.url + "metrics").text
            await server.round()
            await watcher.look(journal)
            well = httpx2.get(made.url + "healthz", timeout=30)
            assert (well.status_code, well.json()["status"]) == (200, "ok")
            told = httpx2.get(made.url + "metrics", timeout=30)
            assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert "\nnightproof_serve_rounds_total 1\n" in told.text
            assert f"nightproof_watch_timestamp_seconds {watcher.looked}" in told.text
            server.problems["schedule"] = "no disk"
            assert httpx2.get(made.url + "healthz").status_code == 503
            server.problems.clear()
            server.stop()
            assert httpx2.get(made.url + "healthz").json()["status"] == "draining"
        finally:
            made.stop()
            await server.rest()
            await journal.close()

    asyncio.run(main())


@pytest.mark.parametrize("replaced", [False, True])
def test_a_journal_that_is_another_by_now(own_house: Any, replaced: bool):
    """Removed or replaced under a server: said by pages and probes, not shown as it was."""
    path = own_house.folder / ".nightproof" / "journal.db"
    settings = own_house.settings()

    async def main() -> None:
        journal = app.open_journal(settings)
        said: list[str] = []
        server = Server(journal, Nothing(), said.append, 30_000, timedelta(hours=1))
        made = Dashboard(settings, said.append, server, token="")
        made.start("127.0.0.1", 0)
        try:
            await server.round()
            assert httpx2.get(made.url + "runs", timeout=30).status_code == 200
            if replaced:
                shutil.copy(path, path.with_name("copy.db"))
                path.with_name("copy.db").rename(path)
            else:
                path.unlink()
            what = "replaced" if replaced else "removed"
            for page in ("", "runs", "api/runs", "metrics", "live"):
                answer = httpx2.get(made.url + page, timeout=30)
                assert answer.status_code == 503
                assert f"was {what} while it was open" in answer.text
            await server.round()
            await server.round()
            assert [line for line in said if f"was {what}" in line and "journal: " in line] == [
                f"journal: {server.problems['journal']}"
            ]
            ill = httpx2.get(made.url + "healthz", timeout=30)
            assert (ill.status_code, ill.json()["status"]) == (503, "failing")
        finally:
            made.stop()
            await server.rest()
            await journal.close()

    asyncio.run(main())


def test_a_damaged_journal_is_said_after_an_act_too(own_house: Any, serving: Any):
    """What came of an act cannot be read either; that is not a page that failed."""
    running = serving(own_house)
    path = own_house.folder / ".nightproof" / "journal.db"
    with path.open("r+b") as file:
        for page in range(4096, path.stat().st_size, 4096):
            file.seek(page)
            file.write(b"\xff" * 3000)
    answer = running.get("/audit?told=1")
    assert answer.status_code == 503
    assert "nightproof doctor --salvage" in answer.text


def test_a_dashboard_alone(dashboard: Any):
    """Without a server beside it, it is well, and has the store's numbers."""
    assert dashboard.get("/healthz").json() == {"status": "ok"}
    told = dashboard.get("/metrics").text
    assert "nightproof_serve_" not in told
    assert 'nightproof_runs{job_name="many"' in told

"""Makes the README's pictures from real runs: ``make pictures`` (needs Debian's chromium).

A month of nights of three jobs is run by ``nightproof schedule backfill``: some fail on their
quota, one loses its connection in the middle of a post, one is killed with SIGKILL and resumed,
and the replicates of one meet a changed file. Then a browser looks at the dashboard.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import sync_playwright

from nightproof import app, config
from nightproof.journal.schedules import ScheduleRow
from nightproof.model import clock
from nightproof.serving.plan import planned
from nightproof.web.dashboard import Dashboard

HERE = Path(__file__).parent
NIGHTS = 34
WIDTH, SCALE = 1180, 2


class Project:
    """A folder with the jobs and their journal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.today = datetime.now(UTC).date()
        self.settings = config.Settings(store=f"sqlite:///{folder / '.nightproof' / 'journal.db'}")
        shutil.copy(HERE / "jobs.py", folder)
        faults = {"quota": [self.day(20), self.day(6)], "reset": [self.day(2)]}
        (folder / "faults.json").write_text(json.dumps(faults))

    def day(self, ago: int) -> str:
        return (self.today - timedelta(days=ago)).isoformat()

    def command(self, *words: str, **env: str) -> dict:
        """A command's JSON document; a failed run is what some of them are for."""
        kept = {key: value for key, value in os.environ.items() if "NIGHTPROOF_" not in key}
        ran = subprocess.run(
            [sys.executable, "-m", "nightproof", *words, "--json"], check=False, cwd=self.folder,
            env={**kept, "HOME": str(self.folder), **env}, capture_output=True, text=True,
        )  # fmt: skip
        if not ran.stdout.strip():
            raise SystemExit(f"nightproof {' '.join(words)}: {ran.stderr}")
        return json.loads(ran.stdout)

    def keep(self) -> None:
        """As if a server had served the schedules all the time."""

        async def write() -> None:
            journal = app.open_journal(self.settings)
            now = clock.now_ms()
            since = now - (NIGHTS + 1) * 86_400_000
            for one in self.command("schedule", "show", "jobs.py")["schedules"]:
                spec = planned(one).spec()
                row = ScheduleRow(one["schedule"], one["job"], one["target"], spec, since, now)
                await journal.keep_schedule(row)
            await journal.close()

        asyncio.run(write())

    def backfill(self, job: str, first: int, last: int, **env: str) -> list[str]:
        """The nights from so many days ago to so many days ago; their runs."""
        dates = ["--from", self.day(first), "--to", self.day(last), "--parallel", "2"]
        told = self.command("schedule", "backfill", f"jobs.py:{job}", *dates, **env)
        return [str(one.get("run")) for one in told["runs"]]

    def fill(self) -> dict[str, str]:
        """Run everything; the runs to look at."""
        self.keep()
        self.backfill("catalogue", NIGHTS, 9)
        self.backfill("catalogue", 7, 0)
        self.backfill("weekly_report", NIGHTS, 0)
        self.backfill("daily_revenue", NIGHTS, 2, PACE="0.1")
        self.backfill("daily_revenue", 1, 1, PACE="0.1")
        slow = {"PACE": "0.3"}
        self.backfill(
            "daily_revenue", 0, 0, NIGHTPROOF_FAIL_AT="item fetch_country:after#7", **slow
        )
        (killed,) = self.backfill("daily_revenue", 0, 0, **slow)
        found = self.command("runs", "--job", "weekly_report", "--limit", "1")["runs"][0]
        style = self.folder / ".config" / "report-format"
        style.parent.mkdir()
        style.write_text("house style of November")
        told = self.command("reproduce", found["run"], "--times", "2")
        return {"killed": killed, "a": found["run"], "b": told["replicates"][0]["run"]}


def pictures(base: str, runs: dict[str, str]) -> None:
    """Look at the pages."""
    wanted = {
        "calendar": "/",
        "resumed": f"/runs/{quote(runs['killed'])}",
        "drift": f"/drift?a={quote(runs['a'])}&b={quote(runs['b'])}",
    }
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for name, path in wanted.items():
            page = browser.new_page(
                viewport={"width": WIDTH, "height": 760}, device_scale_factor=SCALE,
                timezone_id="Europe/Berlin", locale="en-GB", color_scheme="light",
            )  # fmt: skip
            page.goto(base + path)
            page.wait_for_timeout(1_000)
            page.reload()  # with all of the nights before, which the first look may still read
            page.wait_for_timeout(1_000)
            page.screenshot(path=HERE / f"{name}.png")
        browser.close()


def main() -> None:
    """Make them."""
    folder = Path(tempfile.gettempdir()) / "nights"  # a name that may be seen in a picture
    folder.mkdir()
    try:
        project = Project(folder)
        runs = project.fill()
        dashboard = Dashboard(project.settings, print)
        try:
            pictures(f"http://127.0.0.1:{dashboard.start('127.0.0.1', 0)}", runs)
        finally:
            dashboard.stop()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

"""The nightly revenue, killed at every crash point; Slack and Postgres are asked what arrived."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nightproof.testing.children import environ_of
from nightproof.testing.drill import Options, drill
from nightproof.testing.outside import Outside
from nightproof.testing.points import read_trace
from nightproof.testing.report import Report, table

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from daily_revenue.contract import daily_contract, simulated_apps  # noqa: E402
from daily_revenue.simulator import Simulator, data  # noqa: E402

pytestmark = [pytest.mark.drill, pytest.mark.timeout(900)]

JOB = f"{EXAMPLES / 'daily_revenue' / 'job.py'}:daily_revenue"
BROKEN = f"{Path(__file__).with_name('jobs') / 'revenue_broken.py'}:daily_revenue"
DAY = date(2026, 10, 15)
COUNTRIES = ("US", "JP", "DE", "KR")
APPS = tuple(one for one in data.APPS if not one.name.startswith("Runner"))
IOS = sum(one.platform == "ios" for one in APPS)
ROWS = """
SELECT date::text, country, app, ads_micros, proceeds_micros, impressions, installs, currency,
       inserted_by, written_by
FROM daily_revenue ORDER BY 1, 2, 3
"""


class Worlds:
    """A simulator and a schema of Postgres for every case; what they know of the cases."""

    def __init__(self, url: str, first: Path | None = None) -> None:
        self.url = url
        self.first = first
        """The contract of a night that has been before; since then the data has changed."""
        self.repeated: list[int] = []
        """How many reads each completed case has repeated."""
        self.wrong: list[str] = []
        """Reads that nothing excuses."""
        self._numbers = itertools.count(1)

    @contextmanager
    def __call__(self, folder: Path) -> Iterator[Outside]:
        import psycopg

        served = data.Data(apps=APPS, countries=COUNTRIES, moves=(data.Move("JP", DAY, 1.6),))
        schema = f"case_{next(self._numbers)}"
        own = f"{self.url}?options=-csearch_path%3D{schema}"
        with Simulator(served) as sim, psycopg.connect(self.url, autocommit=True) as admin:
            sim.world.slack_epoch = 1_790_000_000.0
            admin.execute(f"CREATE SCHEMA {schema}")
            environ = {**sim.environment(folder / "secrets"), "DATABASE_URL": own}
            if self.first is not None:
                self._begin(folder, environ)
                sim.world.data.late[DAY] = 1.05
            before = sim.counts()["acts"]
            yield Outside(environ, lambda: self._counted(sim, own, folder, before))
            admin.execute(f"DROP SCHEMA {schema} CASCADE")

    def _begin(self, folder: Path, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "nightproof", "run", JOB, str(self.first)]
        env = {**os.environ, **environ, **environ_of(folder)}
        subprocess.run(command, env=env, check=True, capture_output=True)

    def _counted(
        self, sim: Simulator, url: str, folder: Path, before: dict[str, int]
    ) -> dict[str, Any]:
        import psycopg

        acts = Counter(sim.counts()["acts"]) - Counter(before)
        self._excuse(acts, folder)
        with psycopg.connect(url) as connection:
            rows = connection.execute(ROWS).fetchall()
        shown = [[one["message"]["text"], one["message"]["ts"]] for one in sim.messages()]
        return {
            "messages": shown,
            "posts": {key: n for key, n in acts.items() if key.startswith("slack/post")},
            "asked": sorted(acts),
            "rows": rows,
            "rows twice": len(rows) - len({row[:3] for row in rows}),
        }

    def _excuse(self, acts: Counter[str], folder: Path) -> None:
        """A read is repeated where it had begun and was not recorded when the process died."""
        begun: Counter[str] = Counter()
        attempts = list(folder.glob("trace-*.jsonl"))
        for path in attempts:
            begun += Counter(
                one.detail
                for one in read_trace(path)
                if one.point in ("item:before", "step:before")
            )
        stores = {name: n for name, n in begun.items() if name.startswith("store[")}
        most = {
            "oauth/token": len(attempts),  # a secret is not kept
            f"appstore/{DAY}": sum(n for name, n in stores.items() if "-ios" in name),
            **{f"admob/{DAY}/{country}": begun[f"ads[{country}]"] for country in COUNTRIES},
        }
        for key, n in acts.items():
            if key.startswith("play/"):
                [name] = [
                    one for one in stores if one[6:].partition("-")[0] in key and "-an" in one
                ]
                most[key] = stores[name]
            if n > most.get(key, n):
                self.wrong.append(f"{folder.name}: {key} asked {n} times, begun {most[key]} times")
        once = {f"appstore/{DAY}": IOS}
        # A country is asked once for the day and the week before.
        reads = {key: n for key, n in acts.items() if not key.startswith(("slack/", "admob/"))}
        reads |= {key: n for key, n in acts.items() if key.startswith(f"admob/{DAY}/")}
        self.repeated.append(sum(n - once.get(key, 1) for key, n in reads.items()))


@pytest.fixture
def worlds(postgres_server: Any) -> Iterator[Callable[..., Worlds]]:
    """Makes the worlds of a drill."""
    name = f"worlds_{uuid.uuid4().hex}"
    url = postgres_server.database(name)
    yield lambda first=None: Worlds(url, first)
    postgres_server.drop(name)


@pytest.fixture
def contract(tmp_path: Path) -> Callable[..., Path]:
    """Writes the contract of a revision of the day."""

    def write(revision: int = 0) -> Path:
        apps = [one for one in simulated_apps() if not one["id"].startswith("runner")]
        path = tmp_path / f"contract-{revision}.json"
        document = daily_contract(DAY, COUNTRIES, apps, revision=revision)
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def drilled(
    contract: Path, outside: Callable[[Path], AbstractContextManager[Outside]], *points: str,
    job: str = JOB, **environ: str,
) -> Report:  # fmt: skip
    """Every point that fits, of every item."""
    options = Options(everything=True, points=points, folder=str(contract.parent))
    return drill(job, str(contract), options, environ=environ, outside=outside)


def test_every_crash_point_of_a_night(worlds, contract):
    """One message, each row once, nothing asked again that was recorded, whatever it died of."""
    outside = worlds()
    report = drilled(contract(), outside)
    assert report.ok, table(report)
    assert report.remarks == [], "everything is compared: two undisturbed nights are the same"
    assert report.kills == len(report.rows) == report.reached >= 80
    assert outside.wrong == []
    # The token, and what was under way: four countries, or four apps.
    assert min(outside.repeated) == 0
    assert max(outside.repeated) <= 5
    counted = report.undisturbed["outside"]
    assert counted["posts"] == {f"slack/post/daily-revenue/{DAY}": 1}
    assert (len(counted["rows"]), counted["rows twice"]) == (16, 0)


def test_every_crash_point_of_a_correction(worlds, contract):
    """Late data: the day's one message is edited, its rows are updated, wherever it dies."""
    outside = worlds(contract())
    points = ("upsert:mid", "post_report", "shown", "correct_report", "complete")
    report = drilled(contract(1), outside, *points)
    assert report.ok, table(report)
    assert report.remarks == []
    assert report.kills == len(report.rows) >= 12
    assert outside.wrong == []
    counted = report.undisturbed["outside"]
    assert (len(counted["messages"]), counted["posts"]) == (1, {})
    [wrote] = {row[-1] for row in counted["rows"]}
    assert {row[-2] for row in counted["rows"]}.isdisjoint({wrote}), "updated, not inserted again"


@pytest.mark.parametrize(
    ("broken", "point", "says"),
    [
        ("posts-again", "post_report:act", "outside, messages"),
        ("posts-in-a-step", "post_report:mid", "outside, messages"),
        ("inserts-blindly", "upsert:mid", "outside, rows twice"),
    ],
)
def test_the_drill_catches(worlds, contract, broken, point, says):
    """Mistakes that only the channel and the table can tell of."""
    report = drilled(contract(), worlds(), point, job=BROKEN, REVENUE_BROKEN=broken)
    assert report.rows != []
    assert {row.verdict for row in report.rows} == {"differs"}, table(report)
    assert all(says in "\n".join(row.notes) for row in report.rows), table(report)


def test_the_command_makes_a_world_for_every_case(postgres_server, tmp_path):
    """`nightproof drill … --outside`, with the world that comes with the example."""
    contract = tmp_path / "contract.json"
    document = daily_contract(DAY, ["US", "JP"], simulated_apps()[:2])
    contract.write_text(json.dumps(document), encoding="utf-8")
    world = EXAMPLES / "daily_revenue" / "world.py"
    words = ["drill", JOB, str(contract), "--limit", "12", "--seed", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "nightproof", *words, "--outside", f"{world}:world"],
        env={**os.environ, "DATABASE_URL": postgres_server.url}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    counted = json.loads(done.stdout)["undisturbed"]["outside"]
    assert len(counted["messages"]) == 1
    assert list(counted["posts"].values()) == [1]

"""The simulator of the pipeline's services, a real Postgres, and nights in real processes."""

import json
import os
import signal
import sys
import time
from datetime import date
from pathlib import Path

import forked
import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "daily_revenue"
sys.path.insert(0, str(EXAMPLE.parent))

from daily_revenue.contract import daily_contract, simulated_apps  # noqa: E402
from daily_revenue.simulator import Simulator  # noqa: E402
from daily_revenue.simulator.data import COUNTRIES  # noqa: E402

DAY = date(2026, 10, 15)
LOADED = ("httpx2", "jwt", "psycopg", "slack_sdk")
"""What the pipeline imports, and what takes half a second."""


@pytest.fixture
def simulator():
    """Start one with the given options; all are stopped in the end."""
    running = []

    def start(*args, **kwargs):
        found = Simulator(*args, **kwargs).start()
        running.append(found)
        return found

    yield start
    for one in running:
        one.close()


@pytest.fixture
def database(postgres_server):
    """The URL of an empty database."""
    name = f"night_{time.monotonic_ns()}"
    yield postgres_server.database(name)
    postgres_server.drop(name)


class Nights:
    """Runs of the pipeline, each in a process of its own, against one simulator."""

    def __init__(self, sim, database, folder):
        self.sim = sim
        self.folder = folder
        self.database = database
        folder.mkdir(parents=True, exist_ok=True)
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("NIGHTPROOF_")},
            **sim.environment(folder / "secrets"),
            "DATABASE_URL": database,
            "NIGHTPROOF_STORE": f"sqlite:///{folder}/journal.db",
            "NIGHTPROOF_PARK_AFTER": "2",
        }

    def contract(self, day=DAY, countries=COUNTRIES, apps=None, **other):
        path = self.folder / f"contract-{time.monotonic_ns()}.json"
        document = daily_contract(day, countries, apps or simulated_apps(), **other)
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)

    def start(self, *args, **env):
        return forked.start(args, self.folder, {**self.env, **env}, loaded=LOADED)

    def ended(self, child, timeout=90):
        out, err = child.communicate(timeout=timeout)
        document = json.loads(out) if out.lstrip().startswith("{") else None
        return Ended(child.returncode, document, out, err)

    def run(self, contract, *args, **env):
        target = f"{EXAMPLE}/job.py:daily_revenue"
        return self.ended(self.start("run", target, contract, "--json", *args, **env))

    def starting(self, contract, *args, **env):
        return self.start(
            "run", f"{EXAMPLE}/job.py:daily_revenue", contract, "--json", *args, **env
        )

    def command(self, *args, **env):
        return self.ended(self.start(*args, **env))

    def logs(self):
        """The log of the newest run, as `nightproof logs` shows it."""
        runs = self.command("runs", "--json").json["runs"]
        return self.command("logs", runs[0]["run"]).out if runs else ""

    def calls(self):
        """How often AdMob was asked for each country's report."""
        acts = self.sim.counts()["acts"]
        return {
            name.rpartition("/")[2]: count
            for name, count in acts.items()
            if name.startswith(f"admob/{DAY}/")
        }

    def rows(
        self, query="SELECT count(*), count(DISTINCT (date, country, app)) FROM daily_revenue"
    ):
        import psycopg

        with psycopg.connect(self.database) as connection:
            return connection.execute(query).fetchall()

    @staticmethod
    def wait(holds, child=None, seconds=60):
        """Wait until something holds; fails when the process ends before."""
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, "it did not come to this"
            assert child is None or child.poll() is None, child.communicate()
            time.sleep(0.02)

    @staticmethod
    def kill(child):
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL


class Ended:
    """How a process ended."""

    def __init__(self, code, document, out, err):
        self.code = code
        self.json = document
        self.out = out
        self.err = err

    def __repr__(self):
        return f"exit {self.code}\n{self.out[-2000:]}\n{self.err[-2000:]}"


@pytest.fixture
def nights(simulator, database, tmp_path):
    """Start a simulator with options; nights against it."""

    def make(*args, **kwargs):
        return Nights(simulator(*args, **kwargs), database, tmp_path)

    return make

"""What a crash costs: calls to the services that are made once more after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench.runner import ROOT

sys.path.insert(0, str(ROOT / "examples"))

from daily_revenue.contract import daily_contract
from daily_revenue.simulator import Simulator
from daily_revenue.simulator.data import COUNTRIES, App, Data, Row
from daily_revenue.simulator.faults import Faults

JOB = f"{ROOT / 'examples' / 'daily_revenue' / 'job.py'}:daily_revenue"
SCRIPT = ROOT / "bench" / "peers" / "revenue_script.py"
DAY = date(2026, 10, 15)


class Killer(Faults):
    """Kills the process that asks as soon as its `at`-th call has arrived."""

    at = 0
    arrived = 0
    victim: subprocess.Popen[str] | None = None

    def of(self, request: Any) -> dict[str, Any] | None:
        self.arrived += 1
        if self.arrived == self.at and self.victim is not None:
            self.victim.send_signal(signal.SIGKILL)
        return super().of(request)


def _apps(count: int) -> tuple[App, ...]:
    """As many for each of the two stores."""
    return tuple(
        App(f"App {n}", platform, f"com.example.app{n}", f"ca-app-pub-1~{n:010d}", f"{n:06d}")
        for n in range(count)
        for platform in (("ios", "android")[n % 2],)
    )


def _data(apps: tuple[App, ...], countries: list[str]) -> Data:
    """Some rows of every app in a few of the countries, the same every day."""
    days = [DAY - timedelta(days=back) for back in range(8)]
    given = {
        day: [
            Row(day, countries[(4 * n + k) % len(countries)], one.name, one.platform,
                1000 + n, 10 + k, 5_000_000 + n, "USD")
            for n, one in enumerate(apps)
            for k in range(4)
        ]
        for day in days
    }  # fmt: skip
    return Data(apps=apps, countries=tuple(countries), given=given)


def _contract(work: Path, apps: tuple[App, ...], countries: list[str]) -> Path:
    named = [
        {
            "id": one.package.rpartition(".")[2],
            "platform": one.platform,
            "package": one.package,
            "admob": one.admob,
            "appleId": one.apple_id if one.platform == "ios" else "",
        }
        for one in apps
    ]
    path = work / "contract.json"
    path.write_text(json.dumps(daily_contract(DAY, countries, named)))
    return path


def _command(how: str, work: Path, contract: Path) -> list[str]:
    if how == "nightproof":
        return [sys.executable, "-m", "nightproof", "run", JOB, str(contract), "--json"]
    kept = work / "stages"
    kept.mkdir(exist_ok=True)
    return [sys.executable, str(SCRIPT), str(contract), *([str(kept)] if how == "stages" else [])]


def calls(work: Path, how: str, percent: int, apps: int, countries: int) -> dict[str, Any]:
    """Calls made again when the process dies at `percent` of them and is started once more.

    The kill comes when a call has arrived and before it is answered, so that what is
    under way at that moment is lost for everybody.
    """
    found = _apps(apps)
    contract = _contract(work, found, COUNTRIES[:countries])
    # A token, every country, one call an iOS app and two an Android app, the message.
    total = 1 + countries + sum(1 if one.platform == "ios" else 2 for one in found) + 1
    url = os.environ["BENCH_POSTGRES"]
    schema = work.name.replace("-", "_")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f'CREATE SCHEMA "{schema}"')
        with Simulator(_data(found, COUNTRIES[:countries])) as sim:
            sim.world.faults = killer = Killer()
            killer.at = round(total * percent / 100)
            environ = {
                **os.environ,
                **sim.environment(work / "secrets"),
                "DATABASE_URL": f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}",
                "NIGHTPROOF_STORE": f"sqlite:///{work}/journal.db",
            }
            before, idle = 0, threading.active_count()
            for code in (-signal.SIGKILL, 0):
                before = killer.arrived
                killer.victim = subprocess.Popen(
                    _command(how, work, contract), env=environ, cwd=work, text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )  # fmt: skip
                said, _ = killer.victim.communicate()
                # Whatever a dead process had sent still arrives: one thread serves a connection.
                while threading.active_count() > idle:
                    time.sleep(0.01)
                if killer.victim.returncode != code:
                    raise RuntimeError(
                        f"{how} ended with {killer.victim.returncode}: {said[-2000:]}"
                    )
            if how == "plain" and killer.arrived - before != total:
                raise RuntimeError(f"{killer.arrived - before} calls instead of {total}")
            if len(sim.messages()) != 1:
                raise RuntimeError(f"{len(sim.messages())} messages instead of one")
        admin.execute(f'DROP SCHEMA "{schema}" CASCADE')
    return {"value": killer.arrived - total}

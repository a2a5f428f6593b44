"""``python -m simulator``: the services as a process; its first line says where they are."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from datetime import date
from pathlib import Path

from .data import Data, Move
from .server import Simulator, described


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--seed", type=int, default=7, help="of the data")
    parser.add_argument("--data", type=Path, help="CSV file to report instead of made-up data")
    parser.add_argument("--script", type=Path, help="JSON file of faults")
    parser.add_argument("--limits", default="{}", help='JSON: {"admob_requests": 36}')
    parser.add_argument("--move", action="append", default=[], help="COUNTRY:YYYY-MM-DD:FACTOR")
    parser.add_argument("--available", type=date.fromisoformat, help="the newest day there is")
    parser.add_argument("--credentials", type=Path, help="folder for the secrets of the clients")
    given = parser.parse_args(arguments)
    try:
        data = Data.read(given.data) if given.data else Data(seed=given.seed)
        data.moves = tuple(_move(text) for text in given.move)
        script = json.loads(given.script.read_text("utf-8")) if given.script else {}
        simulator = Simulator(data, script, json.loads(given.limits), port=given.port)
    except (OSError, ValueError, TypeError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    simulator.world.available = given.available
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    folder = given.credentials or Path(tempfile.mkdtemp(prefix="simulator-"))
    with simulator:
        print(described(simulator, folder), flush=True)
        over.wait()
    return 0


def _move(text: str) -> Move:
    try:
        country, first, factor = text.split(":")
        return Move(country, date.fromisoformat(first), float(factor))
    except ValueError:
        raise ValueError(f"--move {text}: expected COUNTRY:YYYY-MM-DD:FACTOR") from None


if __name__ == "__main__":
    raise SystemExit(main())

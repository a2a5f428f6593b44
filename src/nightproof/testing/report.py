"""What a drill found, as data and as a plain table."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["same", "differs", "not reached"]


@dataclass(frozen=True, slots=True)
class Row:
    """One crash point: how the process died there and what became of the run."""

    point: str
    where: str
    fail_at: str
    """The NIGHTPROOF_FAIL_AT that does it by hand."""
    exit: str
    """How the process ended that should have been killed: "SIGKILL" or "exit N"."""
    resumes: int
    executed: int
    replayed: int
    verdict: Verdict
    notes: tuple[str, ...] = ()
    """What was different, or how an effect's outcome was settled."""

    @property
    def ok(self) -> bool:
        """Whether the process died there and nobody can tell from the outcome."""
        return self.verdict == "same"


@dataclass(slots=True)
class Report:
    """The outcome of a drill."""

    target: str
    contract: str
    rows: list[Row] = field(default_factory=list)
    reached: int = 0
    """Crash points that the undisturbed run came by; some are tried."""
    undisturbed: dict[str, Any] = field(default_factory=dict)
    """What the others are compared with: result, artifacts, effects."""
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0
    kept: str | None = None
    """The scratch folder, where it was kept."""

    @property
    def failures(self) -> list[Row]:
        """The rows that are not as they should be."""
        return [row for row in self.rows if not row.ok]

    @property
    def ok(self) -> bool:
        """Whether every crash was survived without a difference."""
        return bool(self.rows) and not self.failures

    @property
    def kills(self) -> int:
        """How many processes died by SIGKILL."""
        return sum(row.exit == "SIGKILL" for row in self.rows)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "target": self.target,
            "contract": self.contract,
            "ok": self.ok,
            "reached": self.reached,
            "tried": len(self.rows),
            "kills": self.kills,
            "failures": len(self.failures),
            "points": [
                {
                    "point": row.point,
                    "where": row.where,
                    "failAt": row.fail_at,
                    "exit": row.exit,
                    "resumes": row.resumes,
                    "executed": row.executed,
                    "replayed": row.replayed,
                    "verdict": row.verdict,
                    "notes": list(row.notes),
                }
                for row in self.rows
            ],
            "undisturbed": self.undisturbed,
            "remarks": self.remarks,
            "seconds": round(self.seconds, 2),
            "kept": self.kept,
        }

    def to_json(self) -> str:
        """The JSON form as text."""
        return json.dumps(self.as_dict(), ensure_ascii=False, indent=2)

    def summary(self) -> str:
        """The outcome in one line."""
        head = f"{self.kills} of {len(self.rows)} kills at {self.reached} crash points reached"
        if not self.rows:
            return "no crash point fits what was asked for"
        if self.ok:
            return f"{head}: nothing differs from the undisturbed run ({self.seconds:.1f} s)"
        return f"{head}: {len(self.failures)} differ ({self.seconds:.1f} s)"


HEADINGS = ("point", "where", "killed", "resumes", "replayed", "executed", "verdict")


def cells(row: Row) -> tuple[str, ...]:
    """A row's texts, under HEADINGS."""
    verdict = "; ".join((row.verdict, *row.notes))
    numbers = (str(row.resumes), str(row.replayed), str(row.executed))
    return (row.point, row.where, row.exit, *numbers, verdict)


def table(report: Report, width: int = 24) -> str:
    """The report as text; `width` bounds the column of places."""
    lines = [HEADINGS, *(cells(row) for row in report.rows)]
    lines = [(line[0], _cut(line[1], width), *line[2:]) for line in lines]
    widths = [max(_columns(line[at]) for line in lines) for at in range(len(HEADINGS) - 1)]
    text = [_line(line, widths) for line in lines]
    text.insert(1, "  ".join("-" * n for n in [*widths, len(HEADINGS[-1])]))
    text.extend(f"note: {remark}" for remark in report.remarks)
    text.append(report.summary())
    if report.kept is not None:
        text.append(f"kept for a look: {report.kept}")
    return "\n".join(text) + "\n"


def _line(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        (" " * (n - _columns(cell)) + cell)
        if at in (3, 4, 5)
        else cell + " " * (n - _columns(cell))
        for at, (cell, n) in enumerate(zip(line, widths, strict=False))
    ]
    return "  ".join([*padded, line[-1]])


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"

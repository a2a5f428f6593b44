"""The weekly note: ``nightproof run examples/weekly_report/note.py:weekly_note contract.json``.

A short text on the same contract, written the way such jobs often are: it depends on
things that its contract does not mention. `nightproof demo` changes one of them and
lets `nightproof diff` find it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nightproof import artifact, job, prompt, step

from . import summary, wording
from .contract import WeeklyReport
from .job import analyse_currency, anomalies, load, narrate
from .narrative import Narrative
from .summary import Week

CODES = ("USD", "JPY", "GBP", "CHF", "BRL", "CNY")
STYLE_FILE = "fx-desk.json"


@dataclass(frozen=True)
class Style:
    """How the desk writes its numbers."""

    decimal: str = "."


@step
def house_style() -> Style:
    """The desk's style, from a file in the user's configuration: undeclared context."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    try:
        return Style(**json.loads(Path(folder, STYLE_FILE).read_text("utf-8")))
    except FileNotFoundError:
        return Style()


@step
def closing_day(moment: datetime) -> str:
    """The day on which the week closes, by the machine's time zone: part of the environment."""
    local = moment.astimezone()
    return f"{local.day} {wording.MONTHS[local.month - 1]} {local.year}"


@step(pure=True)
def render(week: Week, style: Style, closed: str, text: Narrative) -> str:
    """The note as Markdown."""
    changes = [
        f"- {summary.pair(one.code)} "
        f"{wording.percent(summary.change(one)).replace('.', style.decimal)}"
        for one in week.active
    ]
    return "\n".join([f"# The week closed on {closed}", "", *changes, "", text.text, ""])


@job
async def weekly_note(contract: WeeklyReport) -> str:
    """Six currencies in a few lines."""
    template = prompt(contract.prompt_template_id)
    style = await house_style()
    closed = await closing_day(contract.inputs.period_end)
    table = await load(contract.dataset, contract.days)
    results = await analyse_currency.map(CODES, key=str, table=table, days=contract.days)
    week = summary.summarise(
        contract.inputs.site_id, contract.days, results, await anomalies(results)
    )
    text = await narrate(template, week, contract.model)
    note = await render(week, style, closed, text)
    await artifact("note.md", note)
    return summary.headline(week)

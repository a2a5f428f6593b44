"""How often a job drifts: its reproducibility budget, over time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nightproof.drift.statistics import TARGET
from nightproof.errors import NotFound
from nightproof.views.budgets import BudgetPoint, has_runs, over_time
from nightproof.views.values import whole
from nightproof.web.comparing import comparisons
from nightproof.web.pages.drift import run_command
from nightproof.web.rendering import page, param
from nightproof.web.site import site_of

SHOWN = 200
"""So many replicates are listed, the newest first."""


def chart(points: list[BudgetPoint]) -> dict[str, Any]:
    """The budget over time, as the chart takes it."""
    return {
        "x": [datetime.fromisoformat(one.at).timestamp() for one in points],
        "time": True,
        "x_label": "Last replicate",
        "unit": "%",
        "zero": True,
        "series": [
            {
                "label": "Drift rate, 95 % upper bound",
                "values": [round(one.upper_bound * 100, 3) for one in points],
                "status": "running",
            },
            {
                "label": "Replicates that differ",
                "values": [round(one.differing / one.of * 100, 3) for one in points],
                "status": "drifted",
                "dash": True,
            },
            {"label": "Target", "values": [TARGET * 100] * len(points), "status": "completed"},
        ],
    }


async def budget(request: Request) -> Response:
    """The budget of one job."""
    job = whole(param(request, "job"))
    latest = request.query_params.get("latest") == "1"
    reader = site_of(request).journal
    if not await has_runs(reader, job):
        raise NotFound(f"there is no run of a job '{job}'", "`nightproof runs` lists the runs.")
    answer = await comparisons(request).budget(job, latest)
    found = answer.document
    rows: list[dict[str, Any]] = []
    points: list[BudgetPoint] = []
    if found is not None:
        rows = sorted(
            (one for one in (*found["replicates"], *found["leftOut"])),
            key=lambda one: str(one["at"]), reverse=True,
        )  # fmt: skip
        points = over_time([(one["at"], one["equal"]) for one in found["replicates"] if one["at"]])
    left = {one["run"] for one in found["leftOut"]} if found else set()
    return page(
        request, "budget.html", job=job, latest=latest, answer=answer, found=found,
        rows=rows[:SHOWN], more=max(0, len(rows) - SHOWN), left=left,
        chart=chart(points) if len(points) > 1 else None,
        commands=[run_command("canary --now"), run_command("budget", job)],
    )  # fmt: skip


routes: list[BaseRoute] = [Route("/jobs/{job}/budget", budget)]

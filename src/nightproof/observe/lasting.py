"""Quotas that will not last: used up while runs wait, or before what is left to do is done."""

from __future__ import annotations

import json

from nightproof.journal.quotas import QuotaRow
from nightproof.journal.records import RunFilter, RunRow
from nightproof.limits import Quota
from nightproof.model import clock
from nightproof.model.states import Kind, RunStatus
from nightproof.observe.incident import Finding, moment, span
from nightproof.observe.scene import Scene
from nightproof.views.steps import counts
from nightproof.views.values import parsed

SHORT = 0.9
"""Of tokens or money so much is used, and the reset is more than an hour away."""
_HOUR_MS = 3_600_000
_OPEN = (RunStatus.RUNNING, RunStatus.PARKED)


async def exhausting(scene: Scene) -> list[Finding]:
    """Quotas that somebody waits for longer than the stall limit, or that will not last."""
    rows = await scene.reader.quotas(scene.now)
    if not rows:
        return []
    runs = await scene.reader.runs(RunFilter(status=_OPEN, limit=-1))
    needs = await _needs(scene, runs)
    found = []
    for row in rows:
        note = _parked(scene, row, runs) or _short(scene, row, needs.get(row.name, {}))
        if note:
            found.append(Finding(f"quota:{row.name}", "quota", "", "", note))
    return found


def _parked(scene: Scene, row: QuotaRow, runs: list[RunRow]) -> str:
    left = (row.parked - scene.now) / 1000
    waiting = {wait.run for wait in row.waits}
    waiting |= {run.name for run in runs if f"quota '{row.name}'" in run.waiting}
    if not waiting or left <= scene.settings.stall:
        return ""
    who = ", ".join(sorted(waiting)[:3]) + (f" and {len(waiting) - 3} more" * (len(waiting) > 3))
    return (
        f"quota '{row.name}' is used up until {moment(row.parked)}, in {span(left)} "
        f"({row.reason}); {who} waits for it"
    )


def _short(scene: Scene, row: QuotaRow, need: dict[str, int]) -> str:
    """What is left of a daily allowance beside what open runs still have to do with it."""
    quota = Quota(row.name, **json.loads(row.spec))
    used = {(one.what, one.sharer): one.n for one in row.uses}
    for allowance in quota.allowances:
        if allowance.seconds is not None:
            continue  # a window that slides gives back what it took
        reset = int(quota.reset_after(clock.from_ms(scene.now)).timestamp() * 1000)
        for sharer in ("", *quota.shares):
            cap, so_far = quota.cap(allowance, sharer), used.get((allowance.what, sharer), 0.0)
            left = max(0.0, cap - so_far)
            wanted = sum(n for job, n in need.items() if quota.sharer(job) == sharer)
            wanted = wanted if allowance.counted else 0
            spent = not allowance.counted and so_far >= SHORT * cap
            if wanted > left:
                return (
                    f"quota '{row.name}' has {left:g} of {cap:g} {allowance.what} left until "
                    f"{moment(reset)}, and open runs have {wanted} items to do with it"
                )
            if spent and reset - scene.now > _HOUR_MS:
                return (
                    f"quota '{row.name}' has {left:g} of {cap:g} {allowance.what} left until "
                    f"{moment(reset)}"
                )
    return ""


async def _needs(scene: Scene, runs: list[RunRow]) -> dict[str, dict[str, int]]:
    """For each quota and job, the items that open runs have announced and not yet done."""
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        quotas: dict[str, list[str]] = {}
        for entry in await scene.reader.entries(run.id, (Kind.EVENT,)):
            if entry.output and b'"quotas"' in entry.output:
                told = parsed(entry.output)
                if isinstance(told, dict) and told.get("kind") == "map":
                    quotas[told["step"]] = told["quotas"]
        if not quotas:
            continue
        for step in await counts(scene.reader, run):
            left = (step.total or 0) - step.done - step.failed
            for name in quotas.get(step.step, ()) if left > 0 else ():
                of = found.setdefault(name, {})
                of[run.job] = of.get(run.job, 0) + left
    return found

"""The metrics of a store, as Prometheus reads them (text format 0.0.4).

Source: prometheus.io/docs/instrumenting/exposition_formats. Jobs are in the label
``job_name``, since ``job`` is Prometheus' own. Runs appear only while they are open,
so that the number of series stays small. All are gauges read from the journal: nothing
is counted in memory, and a restart loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from nightproof.config import Settings
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.limits import Quota
from nightproof.model import clock
from nightproof.model.states import RunStatus
from nightproof.observe.incident import KINDS
from nightproof.observe.scene import Memory
from nightproof.views.schedules import last_seen, retired
from nightproof.views.trying import alive
from nightproof.views.values import parsed
from nightproof.views.watch import heartbeat, own, progress, stall_limit

_LOOKED_AT = 1000
HELP = {
    "nightproof_run_active": "1 while a process works on the run",
    "nightproof_run_parked": "1 while the run waits and needs no process",
    "nightproof_run_wake_timestamp_seconds": "when a parked run goes on",
    "nightproof_last_checkpoint_timestamp_seconds": "when an open run last came on",
    "nightproof_stall_limit_seconds": "after how long without a checkpoint the run has stalled",
    "nightproof_heartbeat_timestamp_seconds": "when the run's process last proved that it lives",
    "nightproof_runs": "runs in the store by status",
    "nightproof_last_success_timestamp_seconds": "when a run of the job last completed",
    "nightproof_last_failure_timestamp_seconds": "when a run of the job last failed",
    "nightproof_last_duration_seconds": "from start to end of the job's last completed run",
    "nightproof_last_output": "what the job's last completed run measured",
    "nightproof_output_median": "the median of the measure over the nights before",
    "nightproof_incident_open": "incidents that last, by kind",
    "nightproof_schedule_seen_timestamp_seconds": "when the schedule was last served",
    "nightproof_quota_used": "how much of an allowance is in use",
    "nightproof_quota_limit": "how much of it may be",
    "nightproof_quota_parked_until_timestamp_seconds": "until when nobody gets anything of it",
    "nightproof_quota_waiting_runs": "runs that wait for the quota",
    "nightproof_watch_timestamp_seconds": "when the watcher last looked",
    "nightproof_alert_failures_total": "how often an alert sink has failed",
}


class Gauges:
    """Samples by metric, in the order in which they were added."""

    def __init__(self) -> None:
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = {}

    def add(self, name: str, value: float | None, **labels: str) -> None:
        """One sample; None adds nothing."""
        if value is not None:
            self._samples.setdefault(name, []).append((labels, value))

    def text(self) -> str:
        """The exposition."""
        lines = []
        for name, samples in self._samples.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
        return "".join(f"{line}\n" for line in lines)


async def collect(reader: Reader, settings: Settings, memory: Memory | None = None) -> Gauges:
    """Everything that is to be said of a store now."""
    memory = memory or Memory()
    gauges = Gauges()
    rows = await reader.runs(RunFilter(limit=_LOOKED_AT))
    nights = [row for row in rows if own(row)]
    await _open(reader, settings, gauges)
    for job in sorted({row.job for row in nights}):
        await _job(reader, gauges, memory, job, [row for row in nights if row.job == job])
    lasting = [row for row in await reader.incidents(clock.now_ms() + 1) if row.cleared is None]
    for kind in KINDS:
        gauges.add("nightproof_incident_open", sum(row.kind == kind for row in lasting), kind=kind)
    schedules = await reader.schedules()
    latest = last_seen(schedules)
    for schedule in (one for one in schedules if not retired(one, latest)):
        gauges.add(
            "nightproof_schedule_seen_timestamp_seconds", schedule.seen / 1000,
            schedule=schedule.name, job_name=schedule.job,
        )  # fmt: skip
    await _quotas(reader, gauges)
    return gauges


async def _open(reader: Reader, settings: Settings, gauges: Gauges) -> None:
    status = (RunStatus.RUNNING, RunStatus.PARKED)
    for row in await reader.runs(RunFilter(status=status, limit=-1)):
        if row.parent is not None:
            continue
        labels = {"job_name": row.job, "run": row.name}
        running = row.status is RunStatus.RUNNING
        beat = heartbeat(row, settings.lease)
        gauges.add("nightproof_run_active", float(running and alive(row)), **labels)
        gauges.add("nightproof_run_parked", float(not running), **labels)
        gauges.add("nightproof_run_wake_timestamp_seconds", _seconds(row.wake), **labels)
        if running:
            since = (await progress(reader, row)).since
            name = "nightproof_last_checkpoint_timestamp_seconds"
            gauges.add(name, since / 1000, **labels)
            limit = stall_limit(row, settings.stall)
            gauges.add("nightproof_stall_limit_seconds", limit, **labels)
            gauges.add("nightproof_heartbeat_timestamp_seconds", _seconds(beat), **labels)


async def _job(
    reader: Reader, gauges: Gauges, memory: Memory, job: str, rows: list[RunRow]
) -> None:
    for status in RunStatus:
        count = sum(row.status is status for row in rows)
        gauges.add("nightproof_runs", count, job_name=job, status=str(status))
    done = _newest(rows, RunStatus.COMPLETED)
    failed = _newest(rows, RunStatus.FAILED)
    if failed is not None:
        name = "nightproof_last_failure_timestamp_seconds"
        gauges.add(name, _seconds(failed.finished), job_name=job)
    if done is None:
        return
    name = "nightproof_last_success_timestamp_seconds"
    gauges.add(name, _seconds(done.finished), job_name=job)
    took = ((done.finished or 0) - done.created) / 1000
    gauges.add("nightproof_last_duration_seconds", took, job_name=job)
    for one in await memory.outputs(reader, done):
        labels = {"job_name": job, "measure": one.name}
        gauges.add("nightproof_last_output", one.value or 0.0, **labels)
        gauges.add("nightproof_output_median", one.median, **labels)


async def _quotas(reader: Reader, gauges: Gauges) -> None:
    for row in await reader.quotas(clock.now_ms()):
        spec = parsed(row.spec.encode())
        quota = Quota(row.name, **spec)
        used = {(one.what, one.sharer): one.n for one in row.uses}
        for allowance in quota.allowances:
            for sharer in ("", *sorted(quota.shares)):
                labels = {"quota": row.name, "what": allowance.what, "share": sharer}
                now = used.get((allowance.what, sharer), 0.0)
                gauges.add("nightproof_quota_used", now, **labels)
                gauges.add("nightproof_quota_limit", quota.cap(allowance, sharer), **labels)
        until = "nightproof_quota_parked_until_timestamp_seconds"
        gauges.add(until, row.parked / 1000, quota=row.name)
        gauges.add("nightproof_quota_waiting_runs", len(row.waits), quota=row.name)


def _newest(rows: Iterable[RunRow], status: RunStatus) -> RunRow | None:
    ended = [row for row in rows if row.status is status]
    return max(ended, key=lambda row: row.finished or 0, default=None)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    """As Go's parser reads it; the special values have names of their own."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))

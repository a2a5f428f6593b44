"""What a run's workflow is started with; the same from a client, a schedule and a parent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NotRequired, TypedDict

from temporalio.common import (
    RetryPolicy,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)

from nightproof.durable.job import Job
from nightproof.engines.attempt.state import Options
from nightproof.engines.temporal.codec import PREFIX
from nightproof.engines.temporal.parts import RunOptions
from nightproof.journal.records import run_name

RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))
"""A workflow that does not fit its history any more is started again, by whatever code is there."""
TASK_TIMEOUT = timedelta(seconds=30)
"""How long a body may compute between two waits (mapping 100,000 items takes seconds), and how
long it takes to notice that a worker was killed while it did."""
JOB = SearchAttributeKey.for_keyword("NightproofJob")
CONTRACT = SearchAttributeKey.for_keyword("NightproofContract")
STATUS = SearchAttributeKey.for_keyword("NightproofStatus")


class Carried(TypedDict):
    """What an execution hands to the one that continues it."""

    token: int
    executed: dict[str, int]
    """By step name: what the new one finds on record was executed by this attempt."""
    resumed: bool
    last_seq: int
    retries: int
    divergences: list[dict[str, Any]]
    changed: dict[str, tuple[str, str]]


class Request(TypedDict):
    """The input of a run's workflow."""

    job: str
    digest: str
    contract: str
    """Its JSON."""
    replicate: int
    options: RunOptions
    strict: bool
    remembered: str
    target: str
    parent: int | None
    notes: dict[str, dict[str, Any]]
    attributes: bool
    """Whether the namespace has the search attributes."""
    carried: NotRequired[Carried]


def request(
    job: Job[Any, Any],
    contract: Any,
    *,
    replicate: int = 0,
    options: Options | None = None,
    target: str = "",
    parent: int | None = None,
    notes: Mapping[str, dict[str, Any]] | None = None,
    attributes: bool = False,
) -> Request:
    """What to start the workflow of a run with. `replicate` is a number, never "the next"."""
    given = options or Options()
    return Request(
        job=job.name,
        digest=contract.digest,
        contract=contract.to_json(),
        replicate=replicate,
        options=RunOptions(
            effects=given.effects,
            concurrency=dict(given.concurrency),
            answers=dict(given.answers),
        ),
        strict=given.strict,
        remembered=_remembered(job, contract, given),
        target=target or job.target,
        parent=parent,
        notes=dict(notes or {}),
        attributes=attributes,
    )


def _remembered(job: Job[Any, Any], contract: Any, options: Options) -> str:
    """What a resume needs besides the contract, and a watcher: as the embedded engine keeps it."""
    kept: dict[str, Any] = {"effects": True} if options.effects else {}
    if (folder := contract.source_folder) is not None:
        kept["folder"] = str(folder.absolute())
    if job.stall is not None:
        kept["stall"] = job.stall
    if level := os.environ.get("NIGHTPROOF_ISOLATION"):
        kept["isolate"] = level
    return json.dumps(kept)


def workflow_id(run: str) -> str:
    """The id of a run's workflow: one runs at a time."""
    return f"{PREFIX}{run}"


def started(ask: Request) -> dict[str, Any]:
    """The arguments of ``start_workflow`` and ``start_child_workflow`` for a request."""
    name = run_name(ask["job"], ask["digest"], ask["replicate"])
    found: dict[str, Any] = {
        "workflow": ask["job"],
        "args": [ask],
        "id": workflow_id(name),
        "retry_policy": RETRY,
        "task_timeout": TASK_TIMEOUT,
    }
    if ask["attributes"]:
        found["search_attributes"] = attributes(ask, "running")
    return found


def attributes(ask: Request, status: str) -> TypedSearchAttributes:
    """By what a run's workflow is found."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(JOB, ask["job"]),
            SearchAttributePair(CONTRACT, ask["digest"]),
            SearchAttributePair(STATUS, status),
        ]
    )


def long_body() -> str:
    """What is the matter with a body that is at it for longer than is allowed."""
    allowed = TASK_TIMEOUT.total_seconds()
    return (
        f"the body of the job computes for more than {allowed:g} s between two waits. Temporal "
        "takes it from the worker then, and it begins again: put what takes long into a step"
    )

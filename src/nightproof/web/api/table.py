"""Every endpoint of the API."""

from __future__ import annotations

from nightproof.web.api import of_runs, of_stores
from nightproof.web.api.endpoint import Endpoint, Link

TAGS = {
    "runs": "Runs: the list, and each in every detail.",
    "nights": "Jobs over many nights, and what needs a person.",
    "drift": "Why runs differ, and how often.",
    "store": "What all runs share.",
}
_RUN = "/runs/0/run"
_FIRST = {
    name: Link(name, {"run": _RUN})
    for name in (
        "run",
        "steps",
        "log",
        "timeline",
        "artifacts",
        "contract",
        "environment",
        "reads",
        "cost",
    )
}

ENDPOINTS = (
    Endpoint("/runs", "runs", of_runs.runs, "runs --json", links=_FIRST),
    Endpoint("/runs/{run}", "runs", of_runs.run, "show RUN --json"),
    Endpoint(
        "/runs/{run}/steps", "runs", of_runs.steps, "steps RUN --json",
        links={
            "item": Link("item", {"run": "/run", "seq": "/steps/0/seq"}),
            "items": Link("items", {"run": "/run", "step": "/steps/0/step"}),
            "grid": Link("grid", {"run": "/run", "step": "/steps/0/step"}),
        },
    ),
    Endpoint("/runs/{run}/grid", "runs", of_runs.grid),
    Endpoint("/runs/{run}/items", "runs", of_runs.items),
    Endpoint("/runs/{run}/items/{seq}", "runs", of_runs.item),
    Endpoint("/runs/{run}/log", "runs", of_runs.log, "logs RUN --json"),
    Endpoint("/runs/{run}/history", "runs", of_runs.history),
    Endpoint("/runs/{run}/timeline", "runs", of_runs.timeline),
    Endpoint("/runs/{run}/effects", "runs", of_runs.run_effects),
    Endpoint(
        "/runs/{run}/artifacts", "runs", of_runs.artifacts,
        links={"artifact": Link("artifact", {"run": "$request.path.run", "n": "/items/0/n"})},
    ),
    Endpoint("/runs/{run}/artifacts/{n}", "runs", of_runs.artifact),
    Endpoint(
        "/runs/{run}/verification", "runs", of_runs.verification, "verify RUN --json",
        refusals=(409,),
    ),
    Endpoint("/runs/{run}/contract", "runs", of_runs.contract),
    Endpoint("/runs/{run}/environment", "runs", of_runs.environment, "env show RUN --json"),
    Endpoint("/runs/{run}/environments", "runs", of_runs.environments),
    Endpoint("/runs/{run}/reads", "runs", of_runs.reads, "env reads RUN --json"),
    Endpoint("/runs/{run}/cost", "runs", of_runs.cost),
    Endpoint("/attention", "nights", of_stores.attention),
    Endpoint("/nights", "nights", of_stores.nights),
    Endpoint(
        "/jobs", "nights", of_stores.jobs, links={"budget": Link("budget", {"job": "/jobs/0/job"})}
    ),
    Endpoint("/schedules", "nights", of_stores.schedules),
    Endpoint("/incidents", "nights", of_stores.incidents, "alerts show --json"),
    Endpoint(
        "/drift", "drift", of_stores.drift, "diff A B --json", refusals=(404, 409),
    ),
    Endpoint(
        "/jobs/{job}/budget", "drift", of_stores.budget, "budget JOB --json", refusals=(409,)
    ),
    Endpoint(
        "/environments", "drift", of_stores.environment_diff, "env diff A B --json",
        refusals=(404,),
    ),
    Endpoint("/search", "store", of_stores.search),
    Endpoint("/effects", "store", of_stores.effects, refusals=(404,)),
    Endpoint("/audit", "store", of_stores.audit, "audit --json"),
    Endpoint("/quotas", "store", of_stores.quotas, "quotas --json"),
)  # fmt: skip

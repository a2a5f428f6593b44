"""A manifest against the journal of its run, item by item."""

from __future__ import annotations

from typing import Any

from nightproof.journal.records import RunRow
from nightproof.model.canonical import digest
from nightproof.provenance.manifest.checking import Problem
from nightproof.provenance.manifest.statement import parse, step_list
from nightproof.provenance.manifest.steps import Steps
from nightproof.provenance.seeds import run_seed

_NAMED = 20
"""So many steps that differ are named; the rest is counted."""


def differences(
    predicate: dict[str, Any], row: RunRow, steps: Steps, taken: dict[str, Any]
) -> list[Problem]:
    """Where a well-formed predicate says something else than the journal.

    `taken` has the journal's sections on what came from outside.
    """
    asked, done = predicate["buildDefinition"], predicate["runDetails"]
    outside, inside = asked["externalParameters"], asked["internalParameters"]
    base = "/predicate/buildDefinition"
    pairs = [
        (f"{base}/externalParameters/contractDigest", outside["contractDigest"], row.digest),
        (f"{base}/externalParameters/job", outside["job"], row.job),
        (f"{base}/externalParameters/jobCode", outside["jobCode"], row.code),
        (f"{base}/internalParameters/seed", inside["seed"], run_seed(row.job, row.digest).hex()),
        (
            "/predicate/runDetails/metadata/invocationId",
            done["metadata"]["invocationId"],
            row.name,
        ),
        (
            "/predicate/runDetails/metadata/replicate",
            done["metadata"]["replicate"],
            row.replicate,
        ),
        (
            "the journal's contract",
            digest(parse(row.contract)),
            row.digest,
        ),
    ]
    found = [
        Problem(where, f"{said!r}, where the journal has {known!r}")
        for where, said, known in pairs
        if said != known
    ]
    for name, told in taken.items():
        # Manifests of before this was recorded have no such section.
        if name in done["metadata"] and digest(done["metadata"][name]) != digest(told):
            where = f"/predicate/runDetails/metadata/{name}"
            found.append(Problem(where, "it is not what the journal has"))
    for index, known in enumerate((steps.steps, steps.effects)):
        found += _listed(
            done["byproducts"][index], known, f"/predicate/runDetails/byproducts/{index}"
        )
    return found


def _listed(listed: dict[str, Any], known: list[dict[str, str]], where: str) -> list[Problem]:
    if listed["digest"]["sha256"] == step_list(known)[0]:
        return []
    named = listed["annotations"].get("steps")
    if named is None:
        count = listed["annotations"]["count"]
        return [
            Problem(
                where,
                f"the list of {count} {listed['name']} is not what the journal has ({len(known)})",
            )
        ]
    said = {step["fingerprint"]: step for step in named}
    have = {step["fingerprint"]: step for step in known}
    found = []
    for fingerprint in sorted({*said, *have}):
        one, other = said.get(fingerprint), have.get(fingerprint)
        if one == other:
            continue
        found.append(Problem(where, _difference(one, other)))
    if len(found) > _NAMED:
        more = len(found) - _NAMED
        found = [*found[:_NAMED], Problem(where, f"and {more} more that differ")]
    return found or [Problem(where, "the order of the list is not the journal's")]


def _difference(said: dict[str, str] | None, known: dict[str, str] | None) -> str:
    if said is None:
        return f"{_called(known or {})} is in the journal, and missing here"
    if known is None:
        return f"{_called(said)} is not in the journal"
    what = [key for key in sorted({*said, *known}) if said.get(key) != known.get(key)]
    told = ", ".join(f"{key} {said.get(key)}, not {known.get(key)}" for key in what)
    return f"{_called(known)}: {told}"


def _called(step: dict[str, str]) -> str:
    key = f" [{step['key']}]" if "key" in step else ""
    return f"{step.get('kind', 'step')} '{step.get('name', '?')}'{key}"

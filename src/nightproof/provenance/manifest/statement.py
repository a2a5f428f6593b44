"""The manifest's form: an in-toto Statement v1 about one artifact of a run.

The predicate has the fields of SLSA's provenance v1. All of it is canonical JSON
(RFC 8785). `seal` is the sha256 of the statement without it: it shows damage, and a
signature around the whole shows forgery. `comparable` is a digest over what two
replicates of a run share where they agree, without names of runs, times and effects.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nightproof.model.canonical import MAX_INT, canonical, digest, sha256_hex
from nightproof.provenance.manifest.steps import Steps, list_bytes

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://nightproof.dev/manifest/v1"
BUILD_TYPE = "https://nightproof.dev/run/v1"
BUILDER = "https://nightproof.dev/engine/embedded"
SUFFIX = ".manifest.json"
INLINE_STEPS = 10_000
"""A longer list of steps is kept as a blob, and the manifest has its digest."""
INLINE_IN_ALL = 100_000
"""The same where a run's manifests together would hold so many steps."""
_NAME_BYTES = 227
"""A longer file name leaves no room for the suffix and a temporary name (255 in all)."""

LABELS = {
    "witnessed": [
        "/subject",
        "/predicate/buildDefinition/externalParameters/contractDigest",
        "/predicate/buildDefinition/externalParameters/jobCode",
        "/predicate/buildDefinition/internalParameters",
        "/predicate/runDetails",
    ],
    "asserted": [
        "/predicate/buildDefinition/externalParameters/contract",
        "/predicate/buildDefinition/externalParameters/job",
    ],
    "unverified": [],
}
"""Who stands for a field: nightproof saw it itself, somebody said so, or nobody can tell.
Dependencies and models are added by the label that each of them carries; of two
pointers to one field the longer counts."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest says about a run. Times are RFC 3339, digests ``sha256:<hex>``.

    `environment` is the snapshot of the last attempt, None where none was recorded; where
    several workers made it, ``workers`` in it has that of each.
    """

    run: str
    job: str
    code: str
    replicate: int
    contract: Any
    contract_digest: str
    seed: str
    versions: dict[str, str]
    dependencies: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    environment: dict[str, Any] | None
    started: str
    finished: str
    steps: Steps
    outside: dict[str, Any]
    """What came from outside: sections of the metadata, by name."""


def parse(data: bytes | str) -> Any:
    """JSON as a manifest has it: a whole number beyond 2^53 was written by a float.

    Raises ValueError, and RecursionError where it is nested too deeply.
    """

    def number(text: str) -> int | float:
        return int(text) if len(text) < 18 and abs(int(text)) <= MAX_INT else float(text)

    return json.loads(data, parse_int=number)


def manifest_path(path: str, taken: set[str]) -> str | None:
    """Where the manifest of an artifact goes.

    None where a run's own artifact has that name (`taken`), or the name would be too long.
    """
    found = path + SUFFIX
    name = path.rpartition("/")[2]
    return None if found in taken or len(name.encode()) > _NAME_BYTES else found


def step_list(steps: list[dict[str, str]]) -> tuple[str, bytes]:
    """The sha256 (hex) of a list of steps, and the bytes behind it."""
    data = list_bytes(steps)
    return sha256_hex(data), data


def definition(facts: Facts) -> dict[str, Any]:
    """What the run was asked to do: the same for every replicate in one environment."""
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "contract": facts.contract,
            "contractDigest": facts.contract_digest,
            "job": facts.job,
            "jobCode": facts.code,
        },
        "internalParameters": {"seed": facts.seed, "versions": facts.versions},
        "resolvedDependencies": facts.dependencies,
    }


def predicate(facts: Facts, inline: bool) -> tuple[bytes, bytes | None]:
    """The predicate, canonical and without its seal; without `inline` also the list of
    steps to be kept as a blob.
    """
    asked = definition(facts)
    done, data = _listed("steps", facts.steps.steps, inline)
    acted, _ = _listed("effects", facts.steps.effects, inline)
    if not inline:
        done["uri"] = "blob:sha256:" + done["digest"]["sha256"]
    document = {
        "buildDefinition": asked,
        "comparable": {"sha256": comparable(asked, done["digest"]["sha256"])},
        "labels": _labels(facts.dependencies, facts.outside.get("models", [])),
        "runDetails": {
            "builder": {"id": BUILDER},
            "byproducts": [done, acted],
            "metadata": {
                "invocationId": facts.run,
                "replicate": facts.replicate,
                "startedOn": facts.started,
                "finishedOn": facts.finished,
                "attempts": facts.attempts,
                "environment": facts.environment,
                **facts.outside,
            },
        },
    }
    return canonical(document), None if inline else data


def _labels(
    dependencies: list[dict[str, Any]], models: list[dict[str, Any]]
) -> dict[str, list[str]]:
    found = {label: list(fields) for label, fields in LABELS.items()}
    for index, one in enumerate(models):
        found[one["label"]].append(f"/predicate/runDetails/metadata/models/{index}")
    for index, one in enumerate(dependencies):
        where = f"/predicate/buildDefinition/resolvedDependencies/{index}"
        found[one["annotations"]["label"]].append(where)
    return found


def _listed(name: str, steps: list[dict[str, str]], inline: bool) -> tuple[dict[str, Any], bytes]:
    listed, data = step_list(steps)
    notes: dict[str, Any] = {"count": len(steps)}
    if inline:
        notes["steps"] = steps
    return {"name": name, "digest": {"sha256": listed}, "annotations": notes}, data


def comparable(asked: dict[str, Any], steps_sha256: str) -> str:
    """The digest (hex) over what replicates share where they agree."""
    return digest({"buildDefinition": asked, "steps": steps_sha256}).removeprefix("sha256:")


def statement(name: str, sha256: str, content: bytes) -> bytes:
    """The sealed statement about an artifact, canonical; `content` is the predicate.

    Put together from canonical parts, since a run of many artifacts has one predicate.
    """
    subject = canonical([{"name": name, "digest": {"sha256": sha256}}])

    def whole(inner: bytes) -> bytes:
        return (
            b'{"_type":"' + STATEMENT_TYPE.encode() + b'","predicate":' + inner
            + b',"predicateType":"' + PREDICATE_TYPE.encode() + b'","subject":' + subject + b"}"
        )  # fmt: skip

    seal = sha256_hex(whole(content)).encode()
    return whole(content[:-1] + b',"seal":{"sha256":"' + seal + b'"}}')

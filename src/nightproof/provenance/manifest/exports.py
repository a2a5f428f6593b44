"""What is recorded in the words of others: SLSA's provenance v1, CycloneDX's 1.6."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote
from uuid import UUID

from nightproof.model.canonical import canonical, sha256_hex
from nightproof.provenance.manifest.statement import STATEMENT_TYPE
from nightproof.provenance.snapshot import Snapshot

SLSA = "https://slsa.dev/provenance/v1"
CYCLONEDX = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_NAMESPACE = "nightproof:"
"""Begins the names of properties that CycloneDX does not know."""
_RECORD = "sha256 over the rows of the wheel in its RECORD, sorted"


def slsa(predicate: dict[str, Any], subjects: dict[str, str]) -> dict[str, Any]:
    """A Statement with SLSA's predicate; `subjects` are names of artifacts with their sha256.

    `predicate` is a manifest's. What SLSA has no field for goes into byproducts.
    """
    asked, done = predicate["buildDefinition"], predicate["runDetails"]
    about = done["metadata"]
    versions = asked["internalParameters"]["versions"]
    extra = [
        _descriptor(name, about[name])
        for name in ("environment", "witness", "models", "prompts", "taken", "attempts")
        if name in about
    ]
    found = {
        "buildDefinition": {
            **asked,
            "resolvedDependencies": [_dependency(one) for one in asked["resolvedDependencies"]],
        },
        "runDetails": {
            "builder": {**done["builder"], "version": versions},
            "metadata": {name: about[name] for name in ("invocationId", "startedOn", "finishedOn")},
            "byproducts": [*done["byproducts"], *extra],
        },
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects.items()
        ],
        "predicateType": SLSA,
        "predicate": found,
    }


def _dependency(one: dict[str, Any]) -> dict[str, Any]:
    """A ResourceDescriptor has to have a digest, content or an address; a model has none."""
    if "uri" in one or "digest" in one:
        return one
    notes = one["annotations"]
    what = f"{notes['kind']}:{quote(one['name'], safe='@')}"
    version = f":{quote(notes['requested'], safe='')}" if "requested" in notes else ""
    return {**one, "uri": f"urn:nightproof:{what}{version}"}


def _descriptor(name: str, value: Any) -> dict[str, Any]:
    data = canonical(value)
    return {
        "name": name,
        "digest": {"sha256": sha256_hex(data)},
        "mediaType": "application/json",
        "content": base64.b64encode(data).decode("ascii"),
    }


def cyclonedx(found: Snapshot, job: str, run: str, at: str, version: str) -> dict[str, Any]:
    """The environment of a run's last attempt as a bill of materials.

    `at` is the run's time (RFC 3339), `version` that of nightproof. The same run gives
    the same document.
    """
    strict = dict(found.strict)
    about = {"nightproof:run": run}
    about |= {f"nightproof:digest/{name}": value for name, value in found.digests.items()}
    components: list[dict[str, Any]] = [_interpreter(strict)]
    for item, value in sorted(strict.items()):
        kind, _, name = item.partition("/")
        if kind == "package":
            components.append(_package(name, value, strict))
        elif kind == "code" and value.startswith("sha256:"):
            components.append(_file(item, name, value))
        elif kind not in ("python", "edited"):
            about[_NAMESPACE + item] = value
    about |= {f"{_NAMESPACE}numeric/{item}": value for item, value in found.numeric.items()}
    serial = UUID(sha256_hex(found.data + run.encode())[:32], version=4)
    return {
        "$schema": CYCLONEDX,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": {
            "timestamp": at,
            "lifecycles": [{"phase": "operations"}],
            "tools": {
                "components": [{"type": "application", "name": "nightproof", "version": version}]
            },
            "component": {"type": "application", "name": job, "bom-ref": "job"},
            "properties": _properties(about),
        },
        "components": components,
        "dependencies": [
            {"ref": "job", "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }


def _interpreter(strict: dict[str, str]) -> dict[str, Any]:
    name = strict.get("python/implementation", "python")
    about = {_NAMESPACE + item: strict[item] for item in strict if item.startswith("python/")}
    return {
        "type": "platform",
        "bom-ref": "python",
        "name": name,
        "version": strict.get("python/version", ""),
        "properties": _properties(about),
    }


def _package(name: str, value: str, strict: dict[str, str]) -> dict[str, Any]:
    version, _, known = value.partition(" ")
    digest = known.partition("sha256:")[2]
    about = {
        f"{_NAMESPACE}{item}": changed
        for item, changed in strict.items()
        if item.startswith(f"edited/{name}/")
    }
    purl = f"pkg:pypi/{name}@{quote(version, safe='.-_~')}"
    found: dict[str, Any] = {
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
    }  # fmt: skip
    if known.startswith("editable"):
        about["nightproof:hash-of"] = "the source of an editable install"
    elif digest:
        about["nightproof:hash-of"] = _RECORD
    if digest:
        found["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if about:
        found["properties"] = _properties(about)
    return found


def _file(item: str, name: str, value: str) -> dict[str, Any]:
    digest = value.removeprefix("sha256:")
    return {
        "type": "file",
        "bom-ref": item,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def _properties(about: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(about.items())]

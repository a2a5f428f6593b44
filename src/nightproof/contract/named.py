"""What a contract names: datasets, prompt templates and models, wherever they stand in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightproof.contract.patterns import PROMPT, uri_keys


def dependencies(value: Any, path: str = "", key: str = "") -> Iterator[dict[str, Any]]:
    """Each as a manifest lists it; `value` is the contract's JSON, `path` a JSON Pointer to it."""
    if isinstance(value, dict):
        for uri_key, sha_key in uri_keys(value):
            uri, sha256 = value[uri_key], value.get(sha_key)
            if isinstance(uri, str) and isinstance(sha256, str):
                where = path if uri_key == "uri" else f"{path}/{uri_key}"
                # The engine has hashed it before the first step.
                yield {
                    "name": where, "uri": uri, "digest": {"sha256": sha256},
                    "annotations": {"kind": "dataset", "label": "witnessed"},
                }  # fmt: skip
        if isinstance(version := value.get("pinnedVersion"), str):
            yield {
                "name": str(value.get("id", path)),
                "annotations": {
                    "kind": "model", "requested": version, "label": "unverified", "field": path,
                },
            }  # fmt: skip
        for name, item in value.items():
            yield from dependencies(item, f"{path}/{name}", name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from dependencies(item, f"{path}/{index}", key)
    elif isinstance(value, str) and "rompt" in key and PROMPT.fullmatch(value):
        yield {
            "name": value, "annotations": {"kind": "prompt", "label": "asserted", "field": path},
        }  # fmt: skip

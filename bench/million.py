"""What a million steps would take, from the rate or the bytes of some thousands."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def seconds(work: Path, target: str, **params: Any) -> dict[str, Any]:
    """Seconds for a million at the rate that `target` measures."""
    return {"value": 1_000_000 / _measured(work, target, params)}


def megabytes(work: Path, target: str, **params: Any) -> dict[str, Any]:
    """Megabytes for a million at the bytes each that `target` measures."""
    return {"value": _measured(work, target, params)}


def _measured(work: Path, target: str, params: dict[str, Any]) -> float:
    module, _, name = target.partition(":")
    found = getattr(importlib.import_module(f"bench.peers.{module}"), name)(work=work, **params)
    return float(found["value"])

"""What users import to test their jobs.

The names come with their first use: a test that needs one of them does not load the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nightproof.testing.golden import GoldenDiffers, assert_golden
    from nightproof.testing.models import ModelServer
    from nightproof.testing.reproducing import (
        Delivered,
        NotReproducible,
        Reproduced,
        assert_reproducible,
    )

__all__ = [
    "Delivered",
    "GoldenDiffers",
    "ModelServer",
    "NotReproducible",
    "Reproduced",
    "assert_golden",
    "assert_reproducible",
]
_HOMES = {"GoldenDiffers": "golden", "ModelServer": "models", "assert_golden": "golden"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'reproducing')}"), name)

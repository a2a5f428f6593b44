"""``nightproof drill``: the command around the drill that tests use too."""

from __future__ import annotations

from typing import Any

from nightproof.testing import drill as drills


def drill(target: str, contract: str, how: tuple[Any, ...], json: bool) -> int:
    """Drill the job; `how` are the options in the order of :class:`drills.Options`."""
    return drills.main(target, contract, drills.Options(*how), json=json)

"""``nightproof drill``: the command around the drill that tests use too."""

from __future__ import annotations

from typing import Any

from nightproof.cli import targets
from nightproof.testing import drill as drills


def drill(target: str, contract: str, how: tuple[Any, ...], outside: str | None, json: bool) -> int:
    """Drill the job; `how` are the options in the order of :class:`drills.Options`.

    `outside` names the function that makes what each case acts on.
    """
    options = drills.Options(*how)
    if outside is None:
        return drills.main(target, contract, options, json=json)
    return drills.main(target, contract, options, json=json, outside=targets.function(outside))

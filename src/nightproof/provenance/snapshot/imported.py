"""Which installed distributions a process has modules of in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable

from nightproof.provenance.snapshot.installed import Distribution

IMPORTED = "packages/imported"
"""The host item that names them: those in use before the first step, no more."""


def imported(distributions: Iterable[Distribution], modules: Iterable[str]) -> list[str]:
    """The names of the distributions that put a module there which is among `modules`.

    A namespace that several distributions share counts for all of them.
    """
    tops = {os.fsencode(name.partition(".")[0]) for name in modules}
    return [
        one.name
        for one in distributions
        if any(row.partition(b"/")[0].partition(b".")[0] in tops for row in one.rows)
    ]

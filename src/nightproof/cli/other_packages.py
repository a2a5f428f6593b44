"""Run A's versions of packages that differ, in a folder of their own, for an experiment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nightproof.drift.around import Environment
from nightproof.drift.factors import STAGED, Factor, Facts, Staging
from nightproof.errors import NightproofError
from nightproof.provenance.locking.uv import uv
from nightproof.provenance.snapshot import Difference
from nightproof.provenance.snapshot.packages import packages

MOST = 20
"""More differing packages than this are another environment: `env restore` builds one."""
_PACKAGE = "package/"


def restorable(differing: Sequence[Difference]) -> dict[str, str]:
    """The packages to fetch for A's side: ``{item: "version sha256:…"}``.

    Only of wheels whose content is known can it be said that they are the same.
    """
    found = {
        one.item: one.a
        for one in differing
        if one.item.startswith(_PACKAGE) and one.a is not None
        and " sha256:" in one.a and "editable" not in one.a
    }  # fmt: skip
    return found if len(found) <= MOST else {}


def with_packages(
    known: Facts, environment: Environment, folder: Path, environ: Mapping[str, str]
) -> tuple[Facts, str]:
    """`known` with a factor for A's packages, and what is to be said where there is none.

    They are fetched by uv and put before all others on the path; only what turns out to
    be the very wheels that A had is used.
    """
    wanted = restorable(environment.strict)
    if not wanted:
        return known, "no package that A had can be fetched: none differs, or it is not known which"
    asked = [f"{item.removeprefix(_PACKAGE)}=={value.split()[0]}" for item, value in wanted.items()]
    try:
        uv(
            ["pip", "install", "--target", str(folder), "--no-deps", "--no-build", *asked],
            f"fetch {', '.join(asked)}",
        )
    except NightproofError as error:
        return known, f"A's packages cannot be fetched: {error.message}. {error.hint}".strip()
    found = packages([str(folder)]).items
    other = [item.removeprefix(_PACKAGE) for item in wanted if found.get(item) != wanted[item]]
    if other:
        return known, f"what the index has of {', '.join(other)} is another wheel than A's"
    path = os.pathsep.join(filter(None, (str(folder), environ.get("PYTHONPATH"))))
    names = ", ".join(one.replace("==", " ") for one in asked)
    factor = Factor(f"packages {names}", "environment", Staging({"PYTHONPATH": path}))
    untested = set(known.untested)
    rest = {one.item for one in environment.strict if not one.item.startswith(STAGED)}
    if rest <= wanted.keys() and not environment.numeric:
        untested.discard("environment")
    factors = [*known.factors, factor]
    return replace(known, factors=factors, untested=frozenset(untested)), ""

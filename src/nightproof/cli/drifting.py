"""``nightproof diff``: two runs side by side."""

from __future__ import annotations

import asyncio

from nightproof import app
from nightproof.cli import targets
from nightproof.cli.drift_text import told
from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit
from nightproof.cli.table import out
from nightproof.drift.normalise import FUNCTION, Normaliser, normalisers
from nightproof.errors import NightproofError, UsageError
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.views import open_run
from nightproof.views.comparison import DriftView
from nightproof.views.documents import plain
from nightproof.views.drift import drift, normalise_names

DRIFT = 3
"""The exit code where runs differ."""


def diff(session: Session, a: str, b: str) -> int:
    """Compare and judge; exit 3 on drift."""
    blobs = app.open_blobs(session.settings())

    async def look() -> DriftView:
        reader = opened(session)
        one, other = await open_run(reader, a), await open_run(reader, b)
        rules = await declared(reader, max(one, other, key=lambda row: row.id))
        return await drift(reader, blobs, one, other, rules)

    found = asyncio.run(look())
    if session.json:
        emit(plain(found.document()))
    else:
        out("\n".join(told(found.comparison, found.judgement)))
    return DRIFT if found.comparison.drift else 0


async def declared(reader: Reader, row: RunRow) -> tuple[Normaliser, ...]:
    """The normalisers that the job of a run declared when it began.

    Functions are taken from the job where it lies now. Raises UsageError where
    they are not there any more.
    """
    names = await normalise_names(reader, row)
    if not any(one.startswith(FUNCTION) for one in names):
        return normalisers(names)
    try:
        known = dict(targets.load(row.target).job.normalise)
    except NightproofError as error:
        raise UsageError(
            f"job '{row.job}' normalises with functions of its own, and cannot be loaded: "
            f"{error.message}",
            error.hint,
        ) from error
    gone = [one for one in names if one.startswith(FUNCTION) and one not in known]
    if gone:
        raise UsageError(
            f"job '{row.job}' does not declare the normaliser '{gone[0]}' any more",
            f"Run {row.name} was recorded with it; compare newer runs.",
        )
    return tuple(normalisers([known.get(one, one)])[0]._replace(name=one) for one in names)

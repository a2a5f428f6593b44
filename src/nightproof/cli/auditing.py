"""``nightproof audit``: what people had done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nightproof.cli.reading import opened
from nightproof.cli.session import Session, emit, note
from nightproof.cli.table import local, out, rows
from nightproof.views import audit as trail
from nightproof.views.documents import plain


def audit(session: Session, name: str | None, limit: int, before: int | None) -> int:
    """``nightproof audit [RUN]``."""
    reader = opened(session)

    async def look() -> trail.AuditPage:
        run = None if name is None else await trail.whose(reader, name)
        return await trail.audits(reader, limit=limit, before=before, run=run)

    found = asyncio.run(look())
    if session.json:
        emit(plain(found))
        return 0
    if not found.acts:
        note("nobody has done anything yet")
        return 0
    body = [_line(one) for one in found.acts]
    out("\n".join(rows(["AT", "WHO", "ACT", "RUN", "OUTCOME"], body)))
    if found.next is not None:
        note(f"--before {found.next} shows what was before")
    return 0


def _line(one: trail.AuditView) -> Sequence[str]:
    outcome = one.outcome if one.state == "done" else f"{one.state}: {one.outcome}".rstrip(": ")
    return [local(one.at), one.who, one.act, one.run, outcome]

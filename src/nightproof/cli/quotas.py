"""``nightproof quotas``."""

from __future__ import annotations

import asyncio

from nightproof import app
from nightproof.cli.session import Session, emit
from nightproof.cli.table import local, out, painted, rows
from nightproof.views import documents
from nightproof.views.documents import plain


def quotas(session: Session) -> int:
    """Show every quota: what is used of it, until when it is parked, who waits."""
    reader = app.open_reader(session.settings())
    document = asyncio.run(documents.quotas(reader))
    if session.json:
        emit(plain(document))
        return 0
    if not document.quotas:
        out("No job has used a quota yet.")
        return 0
    for one in document.quotas:
        state = f"  {painted('parked')} until {local(one.parked)}" if one.parked else ""
        out(f"{one.name}{state}")
        if one.reason:
            out(f"  {one.reason}")
        body = [
            ["", use.what, use.sharer or "(all others)" if one.spec.shares else "",
             f"{use.used:g} of {use.cap:g}", f"frees {local(use.frees)}" if use.frees else ""]
            for use in one.uses
        ]  # fmt: skip
        out("\n".join(rows(["", "what", "share", "used", ""], body)))
        for wait in one.waits:
            out(f"  {wait.run} waits until {local(wait.until)}")
    return 0

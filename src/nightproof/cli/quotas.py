"""``nightproof quotas``."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from nightproof import app, views
from nightproof.cli.session import Session, emit
from nightproof.cli.table import local, painted, rows


def quotas(session: Session) -> int:
    """Show every quota: what is used of it, until when it is parked, who waits."""
    reader = app.open_reader(session.settings())
    found = asyncio.run(views.quotas(reader))
    if session.json:
        emit({"quotas": [asdict(one) for one in found]})
        return 0
    if not found:
        print("No job has used a quota yet.")
        return 0
    for one in found:
        state = f"  {painted('parked')} until {local(one.parked)}" if one.parked else ""
        print(f"{one.name}{state}")
        if one.reason:
            print(f"  {one.reason}")
        body = [
            ["", use.what, use.sharer or "(all others)" if one.spec.get("shares") else "",
             f"{use.used:g} of {use.cap:g}", f"frees {local(use.frees)}" if use.frees else ""]
            for use in one.uses
        ]  # fmt: skip
        print("\n".join(rows(["", "what", "share", "used", ""], body)))
        for wait in one.waits:
            print(f"  {wait.run} waits until {local(wait.until)}")
    return 0

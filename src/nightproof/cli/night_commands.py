"""What looks after many nights, as typer describes it: quotas, schedule, serve, alerts."""

from __future__ import annotations

import typer

from nightproof.cli.options import Debug, Json, Store, end, session


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(quotas)


def quotas(json: Json = False, store: Store = None, debug: Debug = False) -> None:
    """Show the shared quotas: what is used, until when they are parked, who waits."""
    from nightproof.cli import quotas as showing

    end(showing.quotas(session(store, debug, json)))

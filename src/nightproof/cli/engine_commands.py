"""What runs jobs on other machines, as typer describes it: ``worker``."""

from __future__ import annotations

from typing import Annotated

import typer

from nightproof.cli.night_commands import Targets
from nightproof.cli.options import Debug, EngineUrl, Json, Store, end, session


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(worker)


def worker(
    targets: Targets = None,
    engine_url: EngineUrl = None,
    slots: Annotated[
        int | None,
        typer.Option("--slots", min=1, help="Activities at a time. [default: 16]"),
    ] = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Work on jobs that run on Temporal, until SIGTERM or Ctrl-C.

    The signal drains: nothing new begins, what is under way ends. A second one leaves at once.
    """
    from nightproof.cli import working

    end(working.work(session(store, debug, json), targets or [], engine_url, slots))

"""``nightproof demo``, as typer describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightproof.cli.options import Debug, end, session


def register(app: typer.Typer) -> None:
    """Add the demonstration."""
    app.command()(demo)


def demo(
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="Where to work; new or empty.")
    ] = None,
    cause: Annotated[
        str,
        typer.Option("--cause", help="What changes: environment, context, model or sampling."),
    ] = "context",
    debug: Debug = False,
) -> None:
    """The weekly report: killed, resumed, run again; then a drift, and its cause.

    Every claim is checked; exit 1 where one does not hold.
    """
    from nightproof.cli import demo as demonstration

    session(None, debug)
    end(demonstration.demo(folder, cause))

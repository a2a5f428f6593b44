"""``nightproof manifest``, as typer describes it."""

from __future__ import annotations

from typing import Annotated

import typer

from nightproof.cli.options import Debug, Store, end, session


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(manifest)


def manifest(
    target: Annotated[str, typer.Argument(metavar="FILE|RUN", help="An artifact, or a run.")],
    format_: Annotated[
        str, typer.Option("--format", help="in-toto, slsa, or cyclonedx (the environment).")
    ] = "in-toto",
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Print what an artifact came from, as one JSON document for other tools.

    Exit 0, 2 bad input, 3 the manifest was edited.
    """
    from nightproof.cli import exporting

    end(exporting.export(session(store, debug), target, format_))

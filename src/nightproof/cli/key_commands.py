"""``nightproof keys …``, as typer describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightproof.cli.options import Debug, Json, end, session

keys_app = typer.Typer(help="Keys that sign manifests.", no_args_is_help=True)


@keys_app.callback()
def keys() -> None:
    """Keys that sign manifests."""


@keys_app.command("new")
def keys_new(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="FOLDER", help="Not in the configured folder."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an Ed25519 key; manifests written from now on are signed with it."""
    from nightproof.cli import keys as keeping

    end(keeping.new(session(None, debug, json), folder))

"""``nightproof env …``, as typer describes it."""

from __future__ import annotations

from typing import Annotated

import typer

from nightproof.cli.options import Debug, Json, Store, end, names, session

env_app = typer.Typer(help="The environments that runs were worked on in.", no_args_is_help=True)


@env_app.command("show")
def env_show(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Default: this process.", autocompletion=names),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Here: hash every installed file; exit 3 on an edit.")
    ] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Show the environment of a run's last attempt, or the one here and now."""
    from nightproof.cli import environments

    end(environments.show(session(store, debug, json), run, verify))


@env_app.command("diff")
def env_diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run, or here.", autocompletion=names)],
    b: Annotated[str, typer.Argument(metavar="B", help="A run, or here.", autocompletion=names)],
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Show what differs between two environments.

    Exit 0 where the strict digests agree, 3 where they differ.
    """
    from nightproof.cli import environments

    end(environments.diff(session(store, debug, json), a, b))

"""``nightproof env …``, as typer describes it."""

from __future__ import annotations

from pathlib import Path
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


@env_app.command("reads")
def env_reads(
    run: Annotated[str, typer.Argument(metavar="RUN", autocompletion=names)],
    every: Annotated[
        bool, typer.Option("--all", help="What is declared too, and what was not seen.")
    ] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Show what a run read that neither its contract nor the settings declare."""
    from nightproof.cli import reads

    end(reads.reads(session(store, debug, json), run, every))


@env_app.command("lock")
def env_lock(
    file: Annotated[
        Path, typer.Argument(metavar="[FILE]", help="pylock.toml, or pylock.NAME.toml.")
    ] = Path("pylock.toml"),
    run: Annotated[
        str | None,
        typer.Option("--run", help="What this run was worked on in.", autocompletion=names),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="NAME", help="Leave it out.")
    ] = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Write the installed packages to a lock file, with hashes.

    It is PEP 751's format, made by uv; what was installed from a folder is left out.
    """
    from nightproof.cli import locking

    end(locking.lock(session(store, debug, json), file, run, without or []))


@env_app.command("restore")
def env_restore(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="A lock.")] = Path("pylock.toml"),
    into: Annotated[
        Path, typer.Option("--into", metavar="FOLDER", help="A new environment.")
    ] = Path(".venv"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Build the environment of a lock, and prove that it is the same.

    Exit 0 the same, 2 bad input, 3 something differs.
    """
    from nightproof.cli import locking

    end(locking.restore(session(None, debug, json), file, into))

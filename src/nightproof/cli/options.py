"""The options that commands share, and what they mean for one invocation."""

from __future__ import annotations

from typing import Annotated

import typer

from nightproof.cli.session import Session, set_debug

given = Session()
"""What was given before the name of the command."""


def names(incomplete: str) -> list[str]:
    """Names of runs, for shell completion."""
    from nightproof.cli import completion

    return completion.run_names(given.store, incomplete)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nightproof {version('nightproof')}")
        raise typer.Exit


Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="The journal: sqlite:///path/journal.db or postgresql://…"
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Isolate = Annotated[
    str,
    typer.Option(
        "--isolate", metavar="LEVEL", help="L0; L1: cleared; L2: in a sandbox; L3: traced."
    ),
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="embedded: in this process; temporal: by workers."),
]
EngineUrl = Annotated[
    str | None,
    typer.Option(
        "--engine-url", metavar="URL", help="temporal://host:port/namespace?task_queue=nightproof"
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's name, or a unique beginning of it.", autocompletion=names
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]
After = Annotated[int, typer.Option("--after", help="Go on behind this sequence number.")]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="file.py:job or package.module:job")]
Given = Annotated[str, typer.Argument(metavar="CONTRACT", help="A file, - for stdin, or JSON.")]


def session(store: str | None, debug: bool, json: bool = False) -> Session:
    """The common options of a command, merged with those before its name."""
    set_debug(debug)
    return Session(store or given.store, json)


def end(code: int) -> None:
    """End the command with an exit code."""
    raise typer.Exit(code)

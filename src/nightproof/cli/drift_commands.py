"""``nightproof diff``, ``explain``, ``reproduce`` and ``budget``, as typer describes them."""

from __future__ import annotations

from typing import Annotated

import typer

from nightproof.cli.options import Debug, Json, RunName, Store, end, names, session


def register(app: typer.Typer) -> None:
    """Add the commands that look for drift."""
    app.command()(diff)
    app.command()(explain)
    app.command()(reproduce)
    app.command()(budget)
    app.command()(canary)


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A run.", autocompletion=names)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.", autocompletion=names)],
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Find the first step in which two runs of a job part, and what may be the cause.

    Exit 0 no drift, 2 bad input, 3 drift.
    """
    from nightproof.cli import drifting

    end(drifting.diff(session(store, debug, json), a, b))


def explain(
    a: Annotated[str, typer.Argument(metavar="A", help="A run.", autocompletion=names)],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.", autocompletion=names)],
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask models and hosts without a question.")
    ] = False,
    runs: Annotated[int, typer.Option("--runs", min=3, max=50, help="Runs of each arm.")] = 4,
    packages: Annotated[
        bool,
        typer.Option("--packages", help="Fetch A's versions of packages that differ (needs uv)."),
    ] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Find out by experiment why two runs part: one thing at a time is put back to A's.

    The step in which they part is run again, without effects, on a journal of its own;
    the result is kept with B. Exit 0 no drift, 2 bad input, 3 drift.
    """
    from nightproof.cli import explaining

    options = explaining.Options(yes, runs, packages)
    end(explaining.explain(session(store, debug, json), a, b, options))


def reproduce(
    run: RunName,
    times: Annotated[int, typer.Option("--times", min=1, help="So many replicates.")] = 3,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Run a recorded contract afresh, without effects, and compare.

    Exit 0 all the same, 2 bad input, 3 some differ, 75 some did not come to their end.
    """
    from nightproof.cli import reproducing

    end(reproducing.reproduce(session(store, debug, json), run, times))


def budget(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The name of a job.")],
    latest: Annotated[
        bool, typer.Option("--latest", help="Only the contract of its newest run.")
    ] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Bound a job's drift rate by the replicates on record.

    Exit 0 all the same, 2 bad input, 3 some differ.
    """
    from nightproof.cli import reproducing

    end(reproducing.budget(session(store, debug, json), job, latest))


def canary(
    now: Annotated[
        bool, typer.Option("--now", help="All at once, not each at its minute.")
    ] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Replicate the newest contract of each job in the setting `canary`, and compare.

    To be started once a night: the replicates are spread over `canary_hours`. One that did not
    come to its end the night before is gone on with.
    Exit 0 all the same, 1 or 2 some cannot be run, 3 some differ, 75 some did not come to their end.
    """
    from nightproof.cli import canary as canaries

    end(canaries.canary(session(store, debug, json), now))

"""What looks after many nights, as typer describes it: quotas, schedule, serve, alerts."""

from __future__ import annotations

from typing import Annotated

import typer

from nightproof.cli.options import Debug, EngineUrl, Json, Limit, Store, Target, end, session

schedule_app = typer.Typer(
    help="When jobs are due, and what runs for a time.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TARGET]...", help="file.py or file.py:job; default: `serve`."),
]
Name = Annotated[
    str | None, typer.Option("--name", help="Which of the target's schedules, by its name.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(quotas)
    app.command()(serve)
    app.add_typer(schedule_app, name="schedule")


def quotas(json: Json = False, store: Store = None, debug: Debug = False) -> None:
    """Show the shared quotas: what is used, until when they are parked, who waits."""
    from nightproof.cli import quotas as showing

    end(showing.quotas(session(store, debug, json)))


@schedule_app.command()
def show(
    targets: Targets = None,
    limit: Limit = 1,
    deployed: Annotated[
        bool | None,
        typer.Option(help="Ask Temporal which are there. [default: where it is the engine]"),
    ] = None,
    engine_url: EngineUrl = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Show when jobs are due next, and what ran last; -n for more times."""
    from nightproof.cli import scheduling

    common = session(store, debug, json)
    end(scheduling.show(common, targets or [], limit, deployed, engine_url))


@schedule_app.command()
def deploy(
    targets: Targets = None,
    engine_url: EngineUrl = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove those of the task queue not declared here.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Have Temporal start jobs when they are due, on `nightproof worker`s.

    Deploying again changes what has changed. Paused schedules stay paused.
    """
    from nightproof.cli import deploying

    common = session(store, debug, json)
    end(deploying.deploy(common, targets or [], engine_url, prune, dry_run))


@schedule_app.command()
def backfill(
    target: Target,
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day.")],
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="The last day, included.")],
    name: Name = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, help="Runs at once.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the times.")] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Run what was due in a range of days and has not completed.

    Days are those of the schedule's zone. Exit 0 all done, 1 one failed, 75 one is not at its end.
    """
    from nightproof.cli import backfilling

    common = session(store, debug, json)
    end(backfilling.backfill(common, target, first, last, name, parallel, dry_run))


@schedule_app.command()
def fire(
    target: Target,
    at: Annotated[str, typer.Argument(metavar="TIME", help="A time it was due at.")],
    name: Name = None,
    again: Annotated[bool, typer.Option("--again", help="Also where it has failed.")] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Run the job for one time it is due at, unless it has run.

    This is what `serve` does. Exit codes are those of `run`.
    """
    from nightproof.cli import firing

    end(firing.fire(session(store, debug, json), target, at, name, again))


def serve(
    targets: Targets = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the dashboard; 0 for a free one.")
    ] = 8642,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Of the dashboard; any but this machine's own demands a login.",
        ),
    ] = "127.0.0.1",
    once: Annotated[
        bool, typer.Option("--once", help="Only what is due or left behind now, then leave.")
    ] = False,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, help="Missed nights and resumes at once.")
    ] = 4,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Start jobs when they are due, catch up what was missed, resume what was left behind.

    And a dashboard of it all, /healthz and /metrics (needs the extra `web`).
    SIGTERM drains: runs finish what is under way and can go on later. SIGHUP reads targets again.
    """
    from nightproof.cli import serving

    end(serving.serve(session(store, debug, json), targets or [], (host, port), once, parallel))

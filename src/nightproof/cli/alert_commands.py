"""``nightproof alerts …`` and ``nightproof metrics``, as typer describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightproof.cli.options import Debug, Json, Store, end, session

alerts_app = typer.Typer(
    help="Incidents, and who is told of them.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(alerts_app, name="alerts")
    app.command()(metrics)


@alerts_app.command("show")
def alerts_show(
    days: Annotated[int, typer.Option("--days", min=0, help="And what was over since.")] = 7,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Show what is wrong now, and what was. Exit 1 where something is."""
    from nightproof.cli import alerting

    end(alerting.show(session(store, debug, json), days))


@alerts_app.command("check")
def alerts_check(json: Json = False, store: Store = None, debug: Debug = False) -> None:
    """Look once and tell the sinks what is new: for cron, where nothing serves.

    Exit 1 where a sink could not be reached.
    """
    from nightproof.cli import alerting

    end(alerting.check(session(store, debug, json)))


@alerts_app.command("test")
def alerts_test(json: Json = False, debug: Debug = False) -> None:
    """Send every configured sink a message that says it is a test. Exit 1 where one fails."""
    from nightproof.cli import alerting

    end(alerting.test(session(None, debug, json)))


@alerts_app.command("rules")
def alerts_rules(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Not to stdout.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Print the alert rules for Prometheus that belong to the metrics."""
    from nightproof.cli import alerting

    session(None, debug)
    end(alerting.shipped(output))


def metrics(
    textfile: Annotated[
        Path | None,
        typer.Option("--textfile", metavar="FILE", help="For node_exporter; not to stdout."),
    ] = None,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Print the store's metrics as Prometheus reads them."""
    from nightproof.cli import alerting

    end(alerting.metrics(session(store, debug), textfile))

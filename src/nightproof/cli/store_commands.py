"""What looks after the store, as typer describes it: gc, doctor, migrate, audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightproof.cli.options import Debug, EngineUrl, Json, Limit, Store, end, names, session


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (gc, doctor, migrate, audit):
        app.command()(command)


def gc(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Finished so long ago: 30d, 12h.")
    ] = "30d",
    keep: Annotated[
        int, typer.Option("--keep", min=0, help="Always keep the newest N of each job.")
    ] = 10,
    job: Annotated[str | None, typer.Option("--job", help="Only runs of this job.")] = None,
    audit_older_than: Annotated[
        str | None,
        typer.Option("--audit-older-than", metavar="TIME", help="Also old acts of people: 400d."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Remove old finished runs and unused blobs.

    Runs go whole. The ledger of effects, the delivered files and the audit trail stay.
    """
    from nightproof.cli import collecting

    chosen = collecting.Chosen(older_than, keep, job, dry_run, audit_older_than)
    end(collecting.gc(session(store, debug, json), chosen))


def doctor(
    salvage: Annotated[
        Path | None,
        typer.Option(
            "--salvage", metavar="NEW.db", help="Copy what can be read of a damaged journal."
        ),
    ] = None,
    engine_url: EngineUrl = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Examine the store, and the engine where one is set; say what to do."""
    from nightproof.cli import doctoring

    common = session(store, debug, json)
    if salvage is not None:
        end(doctoring.salvage(common, salvage))
    end(doctoring.doctor(common, engine_url))


def migrate(
    origin: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="Default: the store in force.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="A store with nothing in it.")
    ] = None,
    blobs_from: Annotated[
        str | None,
        typer.Option("--blobs-from", metavar="PLACE", help="Default: the blobs in force."),
    ] = None,
    blobs_to: Annotated[
        str | None,
        typer.Option("--blobs-to", metavar="PLACE", help="Copy all blobs there: folder or URL."),
    ] = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Move a journal to another store, or bring its schema forward.

    Every row is read back and compared. What is interrupted has not happened: give the
    command again. Refused while a process works on a run. Exit 1 where blobs were lost.
    """
    from nightproof.cli import migrating

    end(migrating.migrate(session(store, debug, json), origin, to, blobs_from, blobs_to))


def audit(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Only what was done to it.", autocompletion=names),
    ] = None,
    limit: Limit = 50,
    before: Annotated[
        int | None, typer.Option("--before", metavar="ID", help="Only what came before.")
    ] = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """List what people had done: cancel, resolve, signal, resume and more, newest first."""
    from nightproof.cli import auditing

    end(auditing.audit(session(store, debug, json), run, limit, before))

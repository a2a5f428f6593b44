"""``nightproof contract …``, as typer describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightproof.cli.options import Debug, Given, Json, Target, end, session

contract_app = typer.Typer(help="Make, check and describe contracts.", no_args_is_help=True)


@contract_app.command("new")
def contract_new(
    target: Target,
    tz: Annotated[
        str | None, typer.Option("--tz", metavar="ZONE", help="For periods: Europe/Berlin.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="inputs.siteId=x")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="As of then, not now.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Not to stdout.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a contract for a job: "yesterday" resolved once, datasets hashed."""
    from nightproof.cli import contracts

    session(None, debug)
    end(contracts.new(target, tz, set_ or [], at, output))


@contract_app.command("check")
def contract_check(
    target: Target, contract: Given, json: Json = False, debug: Debug = False
) -> None:
    """Check a contract as a run would, but for the bytes of its datasets."""
    from nightproof.cli import contracts

    end(contracts.check(session(None, debug, json), target, contract))


@contract_app.command("schema")
def contract_schema(target: Target, debug: Debug = False) -> None:
    """Print the JSON Schema of a job's contracts."""
    from nightproof.cli import contracts

    session(None, debug)
    end(contracts.schema(target))


@contract_app.command("digest")
def contract_digest(target: Target, contract: Given, debug: Debug = False) -> None:
    """Print the digest of a contract: the identity of its run."""
    from nightproof.cli import contracts

    session(None, debug)
    end(contracts.digest(target, contract))

"""``nightproof prompts …``, as typer describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightproof.cli.options import Debug, Json, end, session

prompts_app = typer.Typer(help="Versioned prompt templates.", no_args_is_help=True)
Folder = Annotated[
    Path, typer.Argument(metavar="[FOLDER]", help="The templates (default: ./prompts).")
]


@prompts_app.command("check")
def prompts_check(
    folder: Folder = Path("prompts"), json: Json = False, debug: Debug = False
) -> None:
    """Compare templates with their lock.

    Exit 0 where every version is locked and unchanged, 3 where one is not.
    """
    from nightproof.cli import prompting

    end(prompting.check(session(None, debug, json), folder))


@prompts_app.command("lock")
def prompts_lock(
    folder: Folder = Path("prompts"), json: Json = False, debug: Debug = False
) -> None:
    """Write new versions into the lock; from then on their texts cannot change unseen.

    Exit 3, and nothing written, where a locked text has changed.
    """
    from nightproof.cli import prompting

    end(prompting.lock(session(None, debug, json), folder))

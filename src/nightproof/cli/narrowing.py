"""Describes to typer only the command that a line names."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import typer
from typer.main import get_command_name


def narrowed(app: typer.Typer, arguments: Sequence[str]) -> typer.Typer:
    """The app with the one command that is asked for: describing the others takes a while."""
    words = iter(arguments)
    for word in words:
        if word == "--store":
            next(words, None)
        elif word != "--debug" and not word.startswith("--store="):
            only = copy(app)
            only.registered_commands = [
                one
                for one in app.registered_commands
                if word == (one.name or get_command_name(getattr(one.callback, "__name__", "")))
            ]
            only.registered_groups = [one for one in app.registered_groups if one.name == word]
            return only if only.registered_commands or only.registered_groups else app
    return app

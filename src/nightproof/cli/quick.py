"""The short way from the command line to a run.

Importing typer and describing every option takes about as long as opening the
journal, and a night's run needs neither. What this does not understand at once
(help, abbreviations, mistakes) is left to :mod:`nightproof.cli.commands`, which
knows the same options.
"""

from __future__ import annotations

from collections.abc import Sequence

from nightproof.cli.request import RunRequest
from nightproof.cli.session import set_debug

FLAGS = {
    "--replicate": "replicate",
    "--effects": "effects",
    "--strict": "strict",
    "--json": "json",
    "--debug": "debug",
}
VALUES = {
    "--store": "store",
    "--engine": "engine",
    "--engine-url": "engine_url",
    "--isolate": "isolate",
}
REPEATED = {"--concurrency": "concurrency"}


def parse(arguments: Sequence[str]) -> RunRequest | None:
    """The request in ``run TARGET CONTRACT [options]``; None for anything else."""
    positional: list[str] = []
    options: dict[str, str | bool] = {}
    repeated: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if not argument.startswith("-") or argument == "-":
            positional.append(argument)
        elif argument in FLAGS:
            options[FLAGS[argument]] = True
        elif name in VALUES or name in REPEATED:
            given = value if equals else next(rest, None)
            if given is None:
                return None
            if name in REPEATED:
                repeated.append(given)
            else:
                options[VALUES[name]] = given
        else:
            return None
    if len(positional) != 3 or positional[0] != "run":
        return None
    set_debug(bool(options.pop("debug", False)))
    return RunRequest(positional[1], positional[2], concurrency=tuple(repeated), **options)  # type: ignore[arg-type]

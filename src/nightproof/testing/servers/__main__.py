"""``python -m nightproof.testing.servers``: a real server in the foreground."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from nightproof.errors import NightproofError
from nightproof.testing.servers.hosting import host
from nightproof.testing.servers.objects import S3
from nightproof.testing.servers.recipes import Postgres, Recipe, Temporal

KINDS: dict[str, type[Recipe]] = {kind.kind: kind for kind in (Postgres, Temporal, S3)}


def main(words: list[str] | None = None) -> int:
    """Run the server that the command line names, until it is asked to stop."""
    parser = argparse.ArgumentParser(
        prog="python -m nightproof.testing.servers",
        description="Run a real server on 127.0.0.1 until Ctrl-C, SIGTERM or the end of the "
        "process that started it. When it answers, one line of JSON says how to reach it.",
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--folder", help="where its data stays; default: a temporary folder")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--fast", action="store_true", help="postgres, temporal: do not sync commits"
    )
    parser.add_argument("--readable", action="store_true", help="say it for people, not in JSON")
    parser.add_argument("--parent", type=int, default=os.getppid(), help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if not 0 <= given.port < 65536:
        parser.error(f"--port: expected 1 to 65535, got {given.port}")
    try:
        if given.folder:
            return _run(Path(given.folder).resolve(), given)
        with tempfile.TemporaryDirectory(prefix=f"nightproof-{given.kind}-") as folder:
            return _run(Path(folder), given)
    except (NightproofError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(folder: Path, given: argparse.Namespace) -> int:
    recipe = KINDS[given.kind](folder, given.port, given.fast, given.readable)
    return host(recipe, given.parent)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m nightproof.testing.models --script FILE [--port N]``: serve until stopped.

One line on stdout, ``{"url": "http://127.0.0.1:PORT"}``, says that it is ready.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence

from nightproof.errors import UsageError
from nightproof.testing.models.server import ModelServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; exit 2 with one message where it cannot begin."""
    parser = argparse.ArgumentParser(prog="python -m nightproof.testing.models")
    parser.add_argument("--script", metavar="FILE", help="JSON; default: every name serves itself")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="default: a free one")
    given = parser.parse_args(arguments)
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the server's threads begin, so that they inherit it.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    try:
        server = ModelServer(given.script, given.port).start()
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps({"url": server.url}) + "\n")
    sys.stdout.flush()
    signal.sigwait(stops)
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

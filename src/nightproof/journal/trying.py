"""Who tries an effect: what an intent names while it is neither confirmed nor given up."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

from nightproof.model.identity import ProcessIdentity


class Trying(NamedTuple):
    """One execution of an effect, as its intent names it.

    `number` tells the executions of one process apart. `beat` grows while the execution goes
    on, for those who cannot ask whether the process lives.
    """

    process: ProcessIdentity
    number: int
    beat: int = 0

    @property
    def mark(self) -> bytes:
        """What the encoded form begins with, however far the beat is."""
        return b'{"by":%b,"n":%d,"beat":' % (_by(self.process), self.number)

    def encode(self) -> bytes:
        """How the ledger keeps it."""
        return b"%b%d}" % (self.mark, self.beat)


@lru_cache(16)
def _by(process: ProcessIdentity) -> bytes:
    return json.dumps(list(process), separators=(",", ":")).encode()


def trying(data: bytes | None) -> Trying | None:
    """What an intent names; None where nobody tries the effect any more, or that is unknown."""
    try:
        told = json.loads(data or b"null")
        host, pid, started = told["by"]
        return Trying(ProcessIdentity(str(host), int(pid), int(started)), told["n"], told["beat"])
    except (ValueError, TypeError, KeyError):
        return None

"""What a drilled job acts on: a server, a database, made anew for every case.

Without one, every case acts on the same world, and what a crash did twice there is
seen in the ledger of effects alone. With one, the world itself is asked::

    @contextmanager
    def bank(folder: Path) -> Iterator[Outside]:
        with FakeBank() as server:
            yield Outside({"BANK_URL": server.url}, lambda: {"transfers": server.transfers})

    drill("jobs.py:pay", "contract.json", outside=bank)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Outside:
    """The world of one case."""

    environ: Mapping[str, str] = field(default_factory=dict)
    """Leads the case's processes to it."""
    counted: Callable[[], Mapping[str, Any]] = _nothing
    """What arrived there, by name, as JSON values; asked once, after the run has completed.

    Every crash must leave what the undisturbed run leaves, so reads that a resumed run
    may repeat do not belong here.
    """


Surround = Callable[[Path], AbstractContextManager[Outside]]
"""Makes the world of a case, whose own folder it is given, and clears it away."""


@contextmanager
def nowhere(folder: Path) -> Iterator[Outside]:
    """The same world for every case."""
    del folder
    yield Outside()

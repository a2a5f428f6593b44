"""Takes the snapshot of this process, once for all its runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

from nightproof.provenance.snapshot import numerics
from nightproof.provenance.snapshot.breath import Breathe, held
from nightproof.provenance.snapshot.document import Snapshot
from nightproof.provenance.snapshot.host import host
from nightproof.provenance.snapshot.imported import IMPORTED, imported
from nightproof.provenance.snapshot.installed import edited
from nightproof.provenance.snapshot.interpreter import interpreter, surroundings
from nightproof.provenance.snapshot.packages import packages
from nightproof.provenance.snapshot.source import own_code, root_of


class Request(NamedTuple):
    """What a snapshot depends on besides the process itself.

    `root` is the folder of the job's own code, `process` is there because a forked
    child is another process.
    """

    process: int
    root: str
    variables: tuple[str, ...]
    loaded: tuple[str, ...]


def request(file: str, variables: Sequence[str], loaded: Sequence[str] | None = None) -> Request:
    """The snapshot to take for a job that lies in `file` ("" for none).

    `variables` are names or patterns from the settings; `loaded` are the numeric
    libraries that count (default: those that are in memory now).
    """
    root = root_of(file) if file else ""
    libraries = numerics.loaded() if loaded is None else tuple(loaded)
    return Request(os.getpid(), root, tuple(sorted(variables)), libraries)


def capture(want: Request, verify: bool = False, breathe: Breathe = held) -> Snapshot:
    """Look at everything now; takes about 0.2 s with 200 packages.

    `verify` hashes every installed file, which takes seconds, and says in the host
    part how many there were. `breathe` is called between two files.
    """
    environ = dict(os.environ)
    installed = packages(sys.path, breathe)
    changed = edited(installed.distributions, verify, breathe)
    strict = {
        **interpreter(),
        **surroundings(environ, want.variables),
        **installed.items,
        **changed.items,
        **own_code(want.root, installed.covered(), breathe),
    }
    machine = host()
    machine[IMPORTED] = " ".join(imported(installed.distributions, list(sys.modules)))
    if verify:
        machine["installed/verified"] = f"{changed.checked} files"
    elif changed.passed:
        machine["installed/unverified"] = f"{changed.passed} files newer than their RECORD"
    numeric = numerics.numerics(environ, want.loaded)
    return Snapshot(_text(strict), _text(numeric), _text(machine))


def _text(items: dict[str, str]) -> dict[str, str]:
    """Names and values may hold bytes that are no text; JSON holds only text."""
    return {_readable(item): _readable(value) for item, value in items.items()}


def _readable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


_taken: dict[Request, Snapshot] = {}
_lock = Lock()


def take(
    file: str,
    variables: Sequence[str],
    loaded: Sequence[str] | None = None,
    breathe: Breathe = held,
) -> Snapshot:
    """The snapshot of this process: taken at the first call, the same one ever after.

    Blocks; may be called in any thread. `breathe` is called between two files.
    """
    want = request(file, variables, loaded)
    with _lock:
        found = _taken.get(want)
        if found is None:
            found = _taken[want] = capture(want, breathe=breathe)
    return found

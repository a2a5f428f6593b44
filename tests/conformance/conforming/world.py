"""What the suite's jobs share: a contract, a diary of what was really done, and switches.

Both lie in the folder CONFORMANCE_WORLD, by the name of the case, so that whatever
process a step runs in, the test reads what it did. CONFORMANCE_BROKEN names a way in
which the runtime is broken on purpose (see test_broken.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from nightproof import Contract, step

WORLD = "CONFORMANCE_WORLD"
BROKEN = "CONFORMANCE_BROKEN"


class Case(Contract):
    """The contract of every job here: `case` tells the runs of one test from all others."""

    task: Literal["conformance"] = "conformance"
    case: str
    n: int = 0
    names: tuple[str, ...] = ()


def _path(case: str, what: str) -> Path:
    return Path(os.environ[WORLD]) / f"{case}.{what}"


def tell(case: str, line: str) -> None:
    """A line in the case's diary: one write of an O_APPEND file, whole whoever else writes."""
    number = os.open(_path(case, "diary"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(number, f"{line}\n".encode())
    finally:
        os.close(number)


def diary(case: str) -> list[str]:
    """The case's diary so far."""
    path = _path(case, "diary")
    return path.read_text("utf-8").splitlines() if path.exists() else []


def switch_on(case: str, name: str) -> None:
    """From now on :func:`on` is true of it, in every process."""
    _path(case, name).touch()


def on(case: str, name: str) -> bool:
    """Whether the test has switched it on."""
    return _path(case, name).exists()


@step(name="note")
async def note(case: str, line: str) -> None:
    """What a body saw, into the diary: a body that sees something else on replay adds a line."""
    tell(case, line)


@step(name="last")
async def last(case: str) -> int:
    """A place for a test to kill the process at: everything before it is on record."""
    tell(case, "last")
    return 0


def _break() -> None:
    """Break the runtime of this process as the environment asks."""
    from importlib.util import module_from_spec, spec_from_file_location

    path = Path(__file__).parents[2] / "drill" / "jobs" / "broken.py"
    spec = spec_from_file_location("conforming_broken", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.BREAK[os.environ[BROKEN]]()


if os.environ.get(BROKEN):
    _break()

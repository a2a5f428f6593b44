"""How far a witness sees: "nothing undeclared was read" means nothing without it."""

from __future__ import annotations

from collections.abc import Mapping

LEVELS = ("L0", "L1", "L2", "L3")
VARIABLE = "NIGHTPROOF_ISOLATION"
"""Set, to a level, only by the parent that started this process in isolation."""

_PYTHON_ONLY = (
    "files that extension modules open by themselves (lxml, pyarrow, h5py, apsw, libpq) are not seen",
    "variables that C code reads by itself are not seen",
    "what other programs and forked children read is not seen, only that they were started",
    "questions whether a file exists, its size and its times are not seen",
)
_ALWAYS = (
    "time, random sources of the system, the number of processors and the kernel are not seen",
    "what a host answered is not seen, only that it was asked",
    "what an attempt that was killed read in its last second is not known",
)
_THREADS = (
    "in a library's process, threads that were not started with their step's context are not seen"
)

BLIND: Mapping[str, tuple[str, ...]] = {
    "L0": (*_PYTHON_ONLY, _THREADS, *_ALWAYS),
    "L1": (*_PYTHON_ONLY, *_ALWAYS),
    "L2": (
        "files that extension modules open by themselves are not seen",
        "of files only what was declared, the system, Python and the job's folder are there",
        "what other programs and forked children read is not seen",
        "questions whether a file exists, its size and its times are not seen",
        *_ALWAYS,
    ),
    "L3": (
        "variables that C code reads by itself are not seen; the environment was cleared",
        "threads that a library has started count for a step only where one alone is at work",
        "questions whether a file exists, its size and its times are not seen",
        "a database that the attempt also changes is not seen",
        *_ALWAYS,
    ),
}
"""What a witness of each level cannot see, in sentences."""


def level(environ: Mapping[str, str]) -> str:
    """The level that a process runs at; ``L0`` unless an isolating parent says more."""
    given = environ.get(VARIABLE, "")
    return given if given in LEVELS else "L0"

"""``--isolate L3``: the attempt as at L1, watched by strace."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from nightproof.errors import UsageError
from nightproof.provenance.witness.strace import CALLS

PROGRAM = "strace"


def check() -> None:
    """Raise UsageError where nothing can be traced."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise UsageError(
            "--isolate L3 needs strace, and there is no program of that name",
            "Install it: apt install strace, or dnf install strace. L1 needs nothing.",
        )
    tried = subprocess.run(
        [program, "-qq", "--seccomp-bpf", "-f", "-o", "/dev/null", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode != 0:
        why = " ".join(tried.stderr.split()) or f"exit code {tried.returncode}"
        raise UsageError(
            f"strace does not work here: {why}",
            "In a container it needs --cap-add SYS_PTRACE; see also kernel.yama.ptrace_scope. "
            "L1 needs nothing.",
        )


def command(trace: Path, words: Sequence[str]) -> list[str]:
    """The words that run `words` under strace, which writes to `trace`.

    The tracer is a grandchild, in a group of its own: the process stays what it is.
    """
    program = shutil.which(PROGRAM) or PROGRAM
    return [
        program, "-DD", "-f", "-qq", "-yy", "--seccomp-bpf", "-ttt", "-e", "signal=none",
        "-e", f"trace={CALLS}", "-o", str(trace), "--", *words,
    ]  # fmt: skip

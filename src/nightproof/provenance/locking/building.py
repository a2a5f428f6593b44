"""Writes a lock, and builds and proves the environment of one; uv does the work."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nightproof.errors import NightproofError, UsageError
from nightproof.provenance.locking.lockfile import PYTHON, Lock, check_name, parsed, table
from nightproof.provenance.locking.uv import uv, without_credentials
from nightproof.provenance.snapshot.compare import Difference, differences
from nightproof.provenance.snapshot.installed import edited
from nightproof.provenance.snapshot.packages import packages

_INSIDE = """
import json, runpy, sys
items = runpy.run_path(sys.argv[1])["interpreter"]()
print(json.dumps({"path": sys.path, "items": items}))
"""


def write(path: Path, requirements: Sequence[str], lock: Lock) -> None:
    """Write the lock file of the requirements, whole or not at all.

    Raises UsageError for a file that is there and not ours, NightproofError where uv fails.
    """
    check_name(path)
    if path.exists() and "nightproof" not in parsed(path).get("tool", {}):
        raise UsageError(
            f"{path} is there, and `env lock` did not write it", "Give another name to write to."
        )
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", "Make it, or give another place.")
    with tempfile.TemporaryDirectory(prefix="nightproof-lock-") as folder:
        asked, made = Path(folder, "requirements.in"), Path(folder, "pylock.toml")
        asked.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        version = lock.python["version"]
        here = sys.version.partition(" ")[0]
        uv(
            [
                "pip", "compile", str(asked), "--format", "pylock.toml", "--no-deps", "--no-header",
                "--no-annotate", "--python", sys.executable, "--output-file", str(made),
                *(() if version == here else ("--python-version", version)),
            ],
            f"lock {len(requirements)} packages",
        )  # fmt: skip
        text = without_credentials(made.read_text(encoding="utf-8"))
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(f"{text}\n{table(lock)}", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def build(path: Path, lock: Lock, into: Path) -> None:
    """Make the environment of a lock in a folder that is not there yet, or is empty.

    Raises UsageError where it is not empty, NightproofError where uv fails; then
    nothing of it is left.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(
            f"{into} is there already", "Give another place with --into, or remove it."
        )
    if lock.python["implementation"] != sys.implementation.name:
        raise UsageError(
            f"{path} is for {lock.python['implementation']}, this is {sys.implementation.name}"
        )
    version = lock.python["version"]
    here = sys.version.partition(" ")[0]
    try:
        uv(
            ["venv", str(into), "--python", sys.executable if version == here else version],
            f"make an environment with Python {version} in {into}",
        )
        uv(
            ["pip", "sync", str(path), "--python", str(into / "bin/python")],
            f"install {path} into {into}",
        )
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise


def proved(lock: Lock, python: Path) -> list[Difference]:
    """In what the environment of `python` is not the locked one; every file is hashed."""
    import subprocess

    from nightproof.provenance.snapshot import interpreter  # its file is what runs there

    asked = [str(python), "-I", "-c", _INSIDE, str(interpreter.__file__)]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise NightproofError(f"{python} does not run", ran.stderr.strip()[-500:])
    inside = json.loads(ran.stdout)
    found = packages(inside["path"])
    wanted = {f"python/{name}": value for name, value in lock.python.items()}
    wanted |= {f"package/{name}": value for name, value in lock.packages.items()}
    built = {f"python/{name}": inside["items"][f"python/{name}"] for name in PYTHON}
    built |= found.items | edited(found.distributions, everything=True).items
    return differences(wanted, built)

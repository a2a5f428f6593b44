"""``--isolate L2``: the attempt in bubblewrap, where only what is declared can be read."""

from __future__ import annotations

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from nightproof import app
from nightproof.cli import targets
from nightproof.config import Settings
from nightproof.contract.dataset import stated
from nightproof.contract.fetching import obtain
from nightproof.contract.uris import fault, local_path
from nightproof.errors import ContractError, UsageError
from nightproof.provenance.isolation.sandbox import (
    HOME,
    TMP,
    WORK,
    Mount,
    arranged,
    code_of,
    command,
    narrow,
    system,
)
from nightproof.provenance.isolation.slot import Slot

PROGRAM = "bwrap"
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Wanted(NamedTuple):
    """What an attempt needs to see: its target, and its contract with where that lies."""

    target: str
    contract: bytes
    folder: Path
    file: Path | None = None
    stdin: bool = False
    """The contract was read from stdin, and is to be read from there again."""


def program() -> str:
    """Where bubblewrap is. Raises UsageError where it is not installed."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise UsageError(
            "--isolate L2 needs bubblewrap, and there is no program 'bwrap'",
            "Install it: apt install bubblewrap, or dnf install bubblewrap. L1 needs nothing.",
        )
    return found


def mounts(wanted: Wanted, settings: Settings, slot: Slot, origin: Path) -> list[Mount]:
    """Everything that the attempt sees. Datasets on the network are fetched for it.

    Raises UsageError for a place that would show the whole home folder, and what
    fetching a dataset raises.
    """
    found = [
        *system(),
        Mount(TMP, True, str(slot.tmp)),
        Mount(HOME, True, str(slot.home)),
        Mount(WORK, True, str(slot.work)),
        *(Mount(str(path)) for path in _code(wanted.target, origin)),
        *(Mount(path) for path in _declared(settings.files)),
        *(Mount(str(path)) for path in _datasets(wanted, settings)),
    ]
    prompts = wanted.folder / "prompts"  # where `prompt()` looks, too
    if prompts.is_dir():
        found.append(Mount(str(prompts)))
    if wanted.file is not None and wanted.file.is_file():
        found.append(Mount(str(wanted.file)))
    file = app.places(settings.store).file
    folders = [settings.blobs, settings.artifacts, settings.cache]
    if file is not None:
        folders.append(str(file.parent))
    for folder in filter(None, folders):
        Path(folder).mkdir(parents=True, exist_ok=True)
        found.append(Mount(str(narrow(Path(folder), "the store")), True))
    if settings.keys and Path(settings.keys).is_dir():
        found.append(Mount(settings.keys))
    return arranged(found)


def _code(target: str, origin: Path) -> list[Path]:
    where = targets.place_of(target)
    if isinstance(where, Path):
        return [code_of(where)] if where.is_file() else []
    top = where.partition(".")[0]
    return [path for path in (origin / top, origin / f"{top}.py") if path.exists()]


def _declared(names: Sequence[str]) -> list[str]:
    """The files and folders that the setting `files` names and that are there."""
    return [path for name in names for path in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207


def _datasets(wanted: Wanted, settings: Settings) -> list[Path]:
    try:
        document = json.loads(wanted.contract)
    except ValueError:
        return []  # the attempt says what is wrong with it
    found = []
    for _, uri, sha256 in stated(document):
        if fault(uri):
            continue
        if uri.startswith("file:"):
            path = local_path(uri, wanted.folder).absolute()
            found += [path] if path.is_file() else []
        else:
            # There is no network inside; in the cache it is found by its digest.
            with suppress(ContractError):
                obtain(uri, sha256, app.cache_folder(settings))
    return found


class Sandbox:
    """One attempt in bubblewrap, and this process as the one that watches over it."""

    def __init__(self, mounts: Sequence[Mount], words: Sequence[str], environ: Mapping[str, str]):
        self._program = program()
        self._mounts = mounts
        self._words = words
        self._environ = dict(environ)
        self._child = 0
        self._asked: list[int] = []

    def run(self, given: bytes | None) -> int:
        """Run it to its end; its exit code. `given` is its stdin, None for this process's own.

        Raises UsageError where the sandbox cannot be set up.
        """
        for number in _FORWARDED:
            signal.signal(number, self._forward)
        reading, writing = os.pipe()
        words = command(self._program, self._mounts, writing, self._words)
        stdin: int | None = subprocess.PIPE
        if given is None:
            stdin = subprocess.DEVNULL if sys.stdin.isatty() else None
        # A group of its own, so that Ctrl-C comes to this process alone; bubblewrap
        # itself must outlive the signals that its child is to answer.
        process = subprocess.Popen(
            words, env=self._environ, pass_fds=[writing], stdin=stdin,
            process_group=0, preexec_fn=_deaf,  # noqa: PLW1509 - there is no other thread
        )  # fmt: skip
        os.close(writing)
        with os.fdopen(reading) as status:
            told = _told(status.readline())
            self._child = told.get("child-pid", 0)
            for asked in self._asked:
                self._send(asked)
            if given is not None:
                process.communicate(given)
            code = process.wait()
            ended = _told(status.readline())
        if "exit-code" not in ended and code > 0:
            raise UsageError(
                "bubblewrap could not set up the sandbox (it says why above)",
                "In a container it needs user namespaces (--security-opt seccomp=unconfined, or "
                "--privileged); on Ubuntu see kernel.apparmor_restrict_unprivileged_userns. "
                "L1 needs nothing.",
            )
        return code

    def _forward(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._child:
            self._send(number)
        else:
            self._asked.append(number)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._child, number)


def _deaf() -> None:
    for number in _FORWARDED:
        signal.signal(number, signal.SIG_IGN)


def _told(line: str) -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads(line)
    except ValueError:
        return {}
    return found

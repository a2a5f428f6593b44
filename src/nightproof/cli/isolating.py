"""``--isolate``: the attempt in a process with nothing but the contract around it.

The process becomes that attempt (exec), so signals, the exit code, stdin and the
terminal are its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from nightproof import config
from nightproof.cli import targets
from nightproof.cli.request import RunRequest
from nightproof.cli.session import Session, debugging, emit, note
from nightproof.config import Settings
from nightproof.errors import ConfigError, NightproofError, UsageError
from nightproof.provenance.isolation import slot as slots
from nightproof.provenance.isolation.handover import LEVELS, Handover
from nightproof.provenance.isolation.slot import Slot
from nightproof.provenance.isolation.surroundings import carried, declared, fixed
from nightproof.provenance.signing import keys_folder

_PATHS = ("blobs", "artifacts")


def run(request: RunRequest) -> NoReturn:
    """Begin the requested attempt at its level. Raises UsageError for what cannot be isolated."""
    with _answering(request.json):
        request.check()
        words = _words(request)
        _begin(request.isolate, words, config.load(store=request.store))


def _words(request: RunRequest) -> list[str]:
    """The command line that means the same in any folder."""
    given = request.contract
    if given != "-" and not given.lstrip().startswith("{"):
        given = str(Path(given).absolute())
    words = ["run", targets.absolute(request.target), given]
    for flag in ("replicate", "effects", "strict", "json"):
        words += [f"--{flag}"] if getattr(request, flag) else []
    for bound in request.concurrency:
        words += ["--concurrency", bound]
    return words


def resume(level: str, session: Session, name: str | None, every: bool, strict: bool) -> NoReturn:
    """Go on at a level, in a process of that kind."""
    words = ["resume", *([name] if name is not None else [])]
    options = {"--all": every, "--strict": strict, "--json": session.json}
    words += [flag for flag, wanted in options.items() if wanted]
    with _answering(session.json):
        _begin(level, words, session.settings())


@contextmanager
def _answering(json: bool) -> Iterator[None]:
    """An error before the attempt begins is also the one JSON document, where that is wanted."""
    try:
        yield
    except NightproofError as error:
        if json:
            from nightproof.cli import outcome

            emit(outcome.refused(error))
        raise


def _begin(level: str, words: Sequence[str], settings: Settings) -> NoReturn:
    if level not in LEVELS[1:]:
        raise UsageError(f"--isolate {level}: there is no such level", "Use L0 or L1.")
    if level != "L1":
        raise UsageError(f"--isolate {level} is not in this version", "Use L0 or L1.")
    if debugging():
        words = [*words, "--debug"]
    origin = Path.cwd()
    settings = _absolute(settings, origin)
    left = _left(settings, origin)
    slot = slots.take(os.environ, left)
    for folder in slot.rescued:
        note(f"nightproof: an earlier isolated attempt left files behind; they are in {folder}")
    environ = _environ(level, settings, origin, slot, left)
    command = [sys.executable, *_switches(), "-m", "nightproof", *words]
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(slot.work)
    os.execve(sys.executable, command, environ)  # noqa: S606 - this very interpreter


def _environ(
    level: str, settings: Settings, origin: Path, slot: Slot, left: Path
) -> dict[str, str]:
    """The whole environment of the attempt."""
    zone = _zone(settings)
    folder = os.path.dirname(sys.executable)  # noqa: PTH120 - a text among texts
    same = fixed(str(slot.home), folder, str(slot.tmp), zone)
    ours = declared(os.environ, settings.variables)
    alike = [f"{name}={value}" for name, value in same.items() if name not in ours]
    handover = Handover(
        level, str(origin), str(slot.folder), str(left),
        tuple(one for one in alike if not one.startswith(("HOME=", "PATH=", "TMPDIR="))),
        tuple(ours),
    )  # fmt: skip
    return {
        **same,
        **carried(os.environ),
        **ours,
        config.HANDED_OVER: config.hand_over(settings),
        **handover.variables(),
    }


def _absolute(settings: Settings, origin: Path) -> Settings:
    """The settings with paths that mean the same in any folder, and for any home."""
    paths: dict[str, str] = {}
    scheme = "sqlite:///"
    rest = settings.store.removeprefix(scheme)
    if settings.store.startswith(scheme) and not rest.startswith("/") and rest != ":memory:":
        paths["store"] = f"{scheme}{origin / rest}"
    for name in _PATHS:
        if given := getattr(settings, name):
            paths[name] = str(origin / given)
    paths["keys"] = str(keys_folder(settings.keys).absolute())
    return settings.override(**paths)


def _left(settings: Settings, origin: Path) -> Path:
    """Beside the journal."""
    path = settings.store.removeprefix("sqlite:///")
    journal = Path(path) if path.startswith("/") else origin / ".nightproof" / "journal.db"
    return journal.parent / "left"


def _zone(settings: Settings) -> str:
    """The time zone of the settings. Raises ConfigError where there is no such zone."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(settings.timezone)
    except (KeyError, ValueError, OSError):
        raise ConfigError(
            f"timezone: there is no zone '{settings.timezone}'", 'Write timezone = "Europe/Berlin".'
        ) from None
    return settings.timezone


def _switches() -> list[str]:
    """What this interpreter was started with that changes what code does."""
    return ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []

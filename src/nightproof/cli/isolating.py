"""``--isolate``: the attempt in a process with nothing but the contract around it.

At L1 this process becomes that attempt (exec), so signals, the exit code, stdin and
the terminal are its own. At L3 it does the same
under strace. At L2 it stays, and hands signals and the exit code through.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from nightproof import app, config
from nightproof.cli import isolated, resumable, sandboxing, targets, tracing
from nightproof.cli.request import RunRequest
from nightproof.cli.sandboxing import Sandbox, Wanted
from nightproof.cli.session import Session, actor, debugging, emit, note
from nightproof.config import Settings
from nightproof.errors import ConfigError, NightproofError, UsageError
from nightproof.journal.records import RunRow
from nightproof.provenance.isolation import sandbox
from nightproof.provenance.isolation import slot as slots
from nightproof.provenance.isolation.handover import LEVELS, Handover
from nightproof.provenance.isolation.slot import Slot
from nightproof.provenance.isolation.surroundings import carried, declared, fixed

_CLIENTS = {
    "postgresql": "PG", "postgres": "PG", "s3": "AWS_", "s3a": "AWS_", "gs": "GOOGLE_",
    "az": "AZURE_", "abfs": "AZURE_", "abfss": "AZURE_", "azure": "AZURE_", "adl": "AZURE_",
}  # fmt: skip
"""How the variables begin by which the client of a store is told what its URL does not say."""


def run(request: RunRequest) -> int:
    """Carry out the requested attempt at its level; the exit code.

    Raises UsageError for what cannot be isolated.
    """
    with _answering(request.json):
        request.check()
        _check(request.isolate)
        settings = request.settings()
        given = request.contract
        if given != "-" and not given.lstrip().startswith("{"):
            given = str(Path(given).absolute())
        words = ["run", targets.absolute(request.target), given]
        for flag in ("replicate", "effects", "strict", "json"):
            words += [f"--{flag}"] if getattr(request, flag) else []
        for bound in request.concurrency:
            words += ["--concurrency", bound]
        if request.isolate == "L2":
            wanted = _wanted(targets.absolute(request.target), given)
            return _in_sandbox(wanted, words, settings)
        return _become(request.isolate, words, settings)


def resume(level: str, session: Session, name: str | None, every: bool, strict: bool) -> int:
    """Go on at a level, in a process of that kind; the exit code."""
    with _answering(session.json):
        _check(level)
        settings = session.settings()
        words = ["resume", *([name] if name is not None else [])]
        options = {"--all": every, "--strict": strict, "--json": session.json}
        words += [flag for flag, wanted in options.items() if wanted]
        if level == "L2":
            if every:
                raise UsageError(
                    "resume --all at L2 would show every run the files of all", "Name one run."
                )
            return _in_sandbox(_recorded(settings, name), words, settings)
        return _become(level, words, settings)


def apart(
    row: RunRow, settings: Settings, strict: bool, json_wanted: bool
) -> tuple[int, dict[str, Any], bool]:
    """Go on with one of many runs at its level, in a child.

    Its exit code, its JSON document, and whether it was asked to stop.
    """
    words = ["resume", row.name, "--isolate", resumable.level(row)]
    words += [flag for flag, wanted in (("--strict", strict), ("--json", json_wanted)) if wanted]
    # In a session of its own: Ctrl-C at the terminal reaches it once, from here.
    child = subprocess.Popen(
        _command(words),
        stdout=subprocess.PIPE if json_wanted else None,
        start_new_session=True,
        # Not as an option: everybody can read those, and a URL may hold a password.
        env={
            **os.environ,
            "NIGHTPROOF_STORE": app.absolute(settings.store),
            config.ACTOR: actor() or "nightproof resume --all",
        },
    )
    asked: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        asked.append(number)
        child.send_signal(number)

    before = {one: signal.signal(one, forward) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        told, _ = child.communicate()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        document: dict[str, Any] = json.loads(told or b"{}")
    except ValueError:
        document = {"run": row.name, "job": row.job}
    code = child.returncode if child.returncode >= 0 else 128 - child.returncode
    return code, document, bool(asked)


@contextmanager
def _answering(wanted: bool) -> Iterator[None]:
    """An error before the attempt begins is also the one JSON document, where that is wanted."""
    try:
        yield
    except NightproofError as error:
        if wanted:
            from nightproof.cli import outcome

            emit(outcome.refused(error))
        raise


def _check(level: str) -> None:
    if level not in LEVELS[1:]:
        raise UsageError(f"--isolate {level}: there is no such level", "Use L0, L1, L2 or L3.")


def _become(level: str, words: Sequence[str], settings: Settings) -> NoReturn:
    """Go on as the attempt, in a slot."""
    if level == "L3":
        tracing.check()
    origin = Path.cwd()
    settings = _absolute(settings, origin)
    slot, left = _slot(settings, origin)
    trace = str(slot.trace) if level == "L3" else ""
    environ = _environ(
        settings, (str(slot.home), str(slot.tmp)),
        Handover(level, str(origin), str(slot.folder), str(left), trace=trace),
    )  # fmt: skip
    command = _command(words)
    if level == "L3":
        command = tracing.command(slot.trace, command)
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(slot.work)
    os.execve(command[0], command, environ)  # noqa: S606 - this very interpreter


def _in_sandbox(wanted: Wanted, words: Sequence[str], settings: Settings) -> int:
    """The attempt in bubblewrap, watched over by this process."""
    sandboxing.program()
    _refuse_servers(settings)
    origin = Path.cwd()
    settings = _absolute(settings, origin)
    slot, left = _slot(settings, origin)
    mounts = sandboxing.mounts(wanted, settings, slot, origin)
    handover = Handover("L2", str(origin), mounts=tuple(map(str, mounts)))
    environ = _environ(settings, (sandbox.HOME, sandbox.TMP), handover)
    sys.stdout.flush()
    try:
        return Sandbox(mounts, _command(words), environ).run(
            wanted.contract if wanted.stdin else None
        )
    finally:
        isolated.tidy(slot.folder, left)


def _slot(settings: Settings, origin: Path) -> tuple[Slot, Path]:
    """The folders of the attempt, and where files go that it leaves in one of them."""
    file = app.places(settings.store).file
    folder = file.parent if file is not None else origin / ".nightproof"
    slot = slots.take(os.environ, folder / "left")
    for rescued in slot.rescued:
        note(f"nightproof: an earlier isolated attempt left files behind; they are in {rescued}")
    return slot, folder / "left"


def _command(words: Sequence[str]) -> list[str]:
    """This very program, with switches that change what code does."""
    switches = ["-" + "O" * sys.flags.optimize] if sys.flags.optimize else []
    last = ["--debug"] if debugging() else []
    return [sys.executable, *switches, "-m", "nightproof", *words, *last]


def _environ(settings: Settings, folders: tuple[str, str], handover: Handover) -> dict[str, str]:
    """The whole environment of the attempt; `folders` are its home and where temporary files go."""
    beside = os.path.dirname(sys.executable)  # noqa: PTH120 - a text among texts
    same = fixed(folders[0], beside, folders[1], _zone(settings))
    ours = declared(os.environ, settings.variables)
    paths = ("HOME", "PATH", "TMPDIR")
    alike = [f"{name}={same[name]}" for name in same if name not in ours and name not in paths]
    told = handover._replace(environment=tuple(alike), declared=tuple(ours))
    return {
        **same,
        **carried(os.environ),
        **_for_clients(settings),
        **ours,
        config.HANDED_OVER: config.hand_over(settings),
        **({config.ACTOR: actor()} if actor() else {}),
        **told.variables(),
    }


def _absolute(settings: Settings, origin: Path) -> Settings:
    """The settings with paths that mean the same in any folder, and for any home."""
    folders = {
        "blobs": app.blobs_folder(settings),
        "artifacts": app.artifacts_root(settings),
        "cache": app.cache_folder(settings),
    }
    beside = app.places(settings.store).file is not None  # then the URL says where they are
    paths: dict[str, object] = {
        name: str(origin / folder)
        for name, folder in folders.items()
        if folder is not None and (getattr(settings, name) or not beside)
    }
    paths["store"] = app.absolute(settings.store)
    paths["keys"] = str(config.keys_folder(settings.keys).absolute())
    paths["files"] = [str(origin / Path(name).expanduser()) for name in settings.files]
    return settings.override(**paths)


def _for_clients(settings: Settings) -> dict[str, str]:
    """The variables that the clients of store and blobs need besides their URLs."""
    found = {}
    for url in (settings.store, settings.blobs):
        scheme, separator, _ = url.partition("://")
        prefix = _CLIENTS.get(scheme) if separator else None
        if prefix:
            found.update({name: os.environ[name] for name in os.environ if name.startswith(prefix)})
        if prefix == "PG":  # what libpq looks for in a home that is another one
            for name, file in (("PGPASSFILE", ".pgpass"), ("PGSERVICEFILE", ".pg_service.conf")):
                path = Path(os.path.expanduser(f"~/{file}"))  # noqa: PTH111 - must not raise without a home
                if path.is_file():
                    found.setdefault(name, str(path))
    return found


def _refuse_servers(settings: Settings) -> None:
    """Raise UsageError where the attempt could not reach its store or blobs."""
    outside = [settings.store] if app.places(settings.store).server else []
    outside += [settings.blobs] if app.blobs_folder(settings) is None else []
    if outside:
        raise UsageError(
            f"--isolate L2 has no network, so {config.redacted(outside[0])} is out of reach there",
            "Use L1 or L3, or a store and blobs in files.",
        )


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


def _wanted(target: str, given: str) -> Wanted:
    """What a run needs to see."""
    if given == "-":
        return Wanted(target, sys.stdin.buffer.read(), Path.cwd(), stdin=True)
    if given.startswith("/"):
        file = Path(given)
        data = file.read_bytes() if file.is_file() else b""
        return Wanted(target, data, file.parent, file)
    return Wanted(target, given.encode(), Path.cwd())


def _recorded(settings: Settings, name: str | None) -> Wanted:
    """What a run that is on record needs to see."""
    app.require_journal(settings)

    async def look() -> RunRow:
        journal = app.open_journal(settings)
        try:
            return await resumable.find(journal, name, int(settings.lease * 1000))
        finally:
            await journal.close()

    row = asyncio.run(look())
    folder = json.loads(row.options or b"{}").get("folder")
    return Wanted(row.target, row.contract, Path(folder) if folder else Path.cwd())

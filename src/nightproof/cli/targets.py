"""From TARGET to a job: ``file.py:job``, ``package.module:job``, or either without the job."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from nightproof.cli.session import origin
from nightproof.durable.job import Job
from nightproof.errors import TargetError

FORMS = "Write file.py:job or package.module:job."


class Target(NamedTuple):
    """A job, and the text by which a later process finds it again."""

    job: Job[Any, Any]
    text: str


def load(text: str) -> Target:
    """Import the job that `text` names.

    Raises TargetError that says which part of it is wrong.
    """
    module, where, name = _imported(text)
    job, name = _pick(module, name, where)
    return Target(job, f"{place_of(text)}:{name}")


def every(text: str) -> list[Target]:
    """The job that `text` names, or without a name all jobs of the module itself.

    Raises TargetError as :func:`load` does.
    """
    module, where, name = _imported(text)
    if name is not None:
        job, name = _pick(module, name, where)
        return [Target(job, f"{place_of(text)}:{name}")]
    return [Target(job, f"{place_of(text)}:{name}") for name, job in _own(module).items()]


def _imported(text: str) -> tuple[ModuleType, str, str | None]:
    (where, name), path = _split(text), place_of(text)
    module = _import_file(path, where) if isinstance(path, Path) else _import_module(where)
    return module, where, name


def function(text: str) -> Any:
    """The function that ``file.py:name`` names. Raises TargetError where there is none."""
    module, where, name = _imported(text)
    found = getattr(module, name, None) if name else None
    if not callable(found):
        raise TargetError(
            f"{where} has no function '{name}'" if name else f"'{text}' names no function",
            "Write FILE.py:NAME.",
        )
    return found


def absolute(text: str) -> str:
    """`text` such that it names the same target in any folder; modules stay as they are."""
    place, (_, name) = place_of(text), _split(text)
    return f"{place}:{name}" if name is not None else str(place)


def place_of(text: str) -> Path | str:
    """Where `text` looks for its job: the absolute path of a file, or the name of a module."""
    where, _ = _split(text)
    if where.endswith(".py") or "/" in where or Path(where).is_file():
        return Path(where).absolute()
    return where


def _split(text: str) -> tuple[str, str | None]:
    if not text:
        raise TargetError("no target was given", FORMS)
    if Path(text).is_file():
        return text, None
    where, colon, name = text.rpartition(":")
    if not colon:
        return text, None
    if not where or not name:
        raise TargetError(f"'{text}' is not a target", FORMS)
    return where, name


def _import_file(path: Path, shown: str) -> ModuleType:
    if path.is_dir():
        raise TargetError(f"{shown} is a directory", f"Name the file with the job in it. {FORMS}")
    if not path.is_file():
        raise TargetError(f"there is no file {shown}", f"Looked in {path.parent}. {FORMS}")
    parts, root = [path.stem], path.parent
    # As pytest does: a file of a package is imported by its dotted name, so that
    # `from . import other` in it works.
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    _find_in(root)
    if len(parts) > 1:
        dotted = ".".join(parts[:-1] if path.stem == "__init__" else parts)
        module = _guarded(dotted, shown)
        file = getattr(module, "__file__", None)
        if file is None or not Path(file).samefile(path):
            raise TargetError(
                f"{shown} is module '{dotted}', but that name belongs to {file or 'another module'}",
                "Give the package another name, or run where the other one is not installed.",
            )
        return module
    return _guarded_file(path, shown)


def _find_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _guarded_file(path: Path, shown: str) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    name = path.stem
    if name in sys.modules or name in sys.stdlib_module_names:
        name = f"nightproof_target_{name}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{shown} is not a Python file", FORMS)
    module = module_from_spec(spec)
    sys.modules[name] = module  # annotations are resolved through it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(shown, error) from error
    return module


def _import_module(dotted: str) -> ModuleType:
    if not all(part.isidentifier() for part in dotted.split(".")):
        raise TargetError(f"'{dotted}' is neither a file nor a module name", FORMS)
    _find_in(origin())
    return _guarded(dotted, dotted)


def _guarded(dotted: str, shown: str) -> ModuleType:
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if dotted == missing or dotted.startswith(missing + "."):
            raise TargetError(
                f"there is no module '{missing}'",
                f"Looked in {origin()} and the installed packages. {FORMS}",
            ) from error
        raise _failed(shown, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(shown, error) from error


def _failed(shown: str, error: BaseException) -> TargetError:
    what = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    hint = "--debug shows the whole traceback."
    if isinstance(error, ModuleNotFoundError):
        hint = f"Install the package that has it, or correct the import. {hint}"
    if isinstance(error, SyntaxError) and error.filename:
        return TargetError(
            f"{shown} cannot be imported: {error.filename}:{error.lineno}: "
            f"SyntaxError: {error.msg}",
            hint,
        )
    return TargetError(f"{shown} cannot be imported: {place(error.__traceback__)}{what}", hint)


def place(tb: TracebackType | None) -> str:
    """``file:line: `` of the innermost frame of a traceback in somebody's own code."""
    own = last = ""
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        if not file.startswith("<"):
            last = f"{file}:{tb.tb_lineno}: "
            if not _is_library(file):
                own = last
        tb = tb.tb_next
    return own or last


_OURS = str(Path(__file__).parent.parent)


def _is_library(file: str) -> bool:
    if file.startswith(_OURS):
        return "/_examples/" not in file
    stdlib = importlib.__file__ or ""
    return "/site-packages/" in file or file.startswith(str(Path(stdlib).parent.parent))


def _jobs(module: ModuleType) -> dict[str, Job[Any, Any]]:
    return {key: value for key, value in vars(module).items() if isinstance(value, Job)}


def _own(module: ModuleType) -> dict[str, Job[Any, Any]]:
    """The jobs that are written in the module; where there is none, those it imports."""
    jobs = _jobs(module)
    return {k: v for k, v in jobs.items() if v.fn.__module__ == module.__name__} or jobs


def _pick(module: ModuleType, name: str | None, where: str) -> tuple[Job[Any, Any], str]:
    jobs = _jobs(module)
    if name is None:
        own = _own(module)
        if len(own) == 1:
            ((name, job),) = own.items()
            return job, name
        if not own:
            raise TargetError(f"{where} has no job", "Decorate an async function with @job.")
        names = ", ".join(sorted(own))
        raise TargetError(f"{where} has several jobs: {names}", f"Write {where}:{min(own)}.")
    if name in jobs:
        return jobs[name], name
    if hasattr(module, name):
        kind = type(getattr(module, name)).__name__
        raise TargetError(
            f"'{name}' in {where} is a {kind}, not a job", "Decorate an async function with @job."
        )
    from difflib import get_close_matches  # only for the message

    close = get_close_matches(name, jobs, 1)
    known = f"Did you mean {close[0]}?" if close else f"Its jobs: {', '.join(jobs) or 'none'}."
    raise TargetError(f"there is no '{name}' in {where}", known)

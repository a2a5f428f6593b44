"""Golden files: what a job delivered once, reviewed and kept, compared with what it delivers now."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal

from nightproof.drift.normalise import Normaliser, digest, normalised
from nightproof.durable.context import Artifact
from nightproof.durable.job import Job
from nightproof.errors import MisuseError
from nightproof.model.canonical import sha256_hex
from nightproof.testing.reproducing import Delivered, rules_of

LINES = 80
"""So many lines of a difference are shown."""
WIDTH = 200
"""So many characters of a line are shown."""

Told = Literal["same", "same after normalising", "written"]


class GoldenDiffers(AssertionError):
    """Something is not as its golden file has it; the message shows the difference."""


def assert_golden(
    actual: Any,
    path: str | Path,
    *,
    normalise: Job[Any, Any] | Sequence[str | Callable[[Any], Any]] | None = None,
    update: bool = False,
) -> Told:
    """Compare `actual` with the golden file at `path`, and fail where they differ.

    `actual` is an artifact of a run that `assert_reproducible` made, any Artifact or Path
    (the file's content counts), text, bytes, or a value that becomes JSON. `normalise` is
    a job, whose normalisers then apply, or a list as ``@job(normalise=...)`` takes it; an
    artifact of `assert_reproducible` brings its job's. With `update` the file is written
    where it is missing or differs. Raises GoldenDiffers, also where there is no such file.
    """
    __tracebackhide__ = True
    path = Path(path)
    rules = rules_of(normalise) if normalise is not None else ()
    if isinstance(actual, Delivered):
        rules = rules if normalise is not None else actual.rules
    data = _content(actual)
    if not path.is_file():
        if update:
            return _write(path, data)
        raise GoldenDiffers(
            f"there is no golden file {path}\n`pytest --update-golden` writes it; look at it "
            "before it is committed."
        )
    golden = path.read_bytes()
    if golden == data:
        return "same"
    told = _difference(path, golden, data, rules)
    if not told:
        return "same after normalising"
    if update:
        return _write(path, data)
    raise GoldenDiffers(told)


def _content(actual: Any) -> bytes:
    if isinstance(actual, (Delivered, Artifact)):
        actual = Path(actual.path)
    if isinstance(actual, Path):
        try:
            return actual.read_bytes()
        except OSError as error:
            raise MisuseError(
                f"{actual} cannot be read: {error.strerror}",
                "Give an artifact that is still there, or its content.",
            ) from None
    if isinstance(actual, bytes):
        return actual
    if isinstance(actual, str):
        return actual.encode()
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(actual, indent=2) + b"\n"
    except PydanticSerializationError as error:
        raise MisuseError(
            f"a {type(actual).__name__} cannot be written as JSON: {error}",
            "Give text, bytes, or a value of models, dataclasses, lists and dicts.",
        ) from None


def _write(path: Path, data: bytes) -> Told:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return "written"


def _difference(path: Path, golden: bytes, data: bytes, rules: Sequence[Normaliser]) -> str:
    """The message, "" where normalising leaves no difference."""
    a, b = _value(path, golden), _value(path, data)
    accept = "`pytest --update-golden` accepts it."
    if a is None or b is None:
        return (
            f"{path} differs, and is not text: golden {len(golden)} bytes, sha256 "
            f"{sha256_hex(golden)[:16]}; now {len(data)} bytes, sha256 {sha256_hex(data)[:16]}\n"
            f"{accept}"
        )
    left, right = normalised(a, rules), normalised(b, rules)
    if rules and digest(left) == digest(right):
        return ""
    raw = _diff(path, a, b)
    shown, remark = raw, ""
    # Normalised whitespace leaves one long line, in which nothing can be seen.
    if rules and len(_lines(left)) >= len(_lines(a)):
        shown = _diff(path, left, right)
    if rules:
        names = ", ".join(rule.name for rule in rules)
        form = "before" if shown is raw else "after"
        remark = (
            f" after normalising {names}; as they are, {_changed(raw)} lines differ. Shown "
            f"{form} normalising:"
        )
    more = [f"… and {len(shown) - LINES} more lines"] if len(shown) > LINES else []
    if not shown:
        shown = ["(the lines are the same; their endings differ, or the order of keys)"]
    cut = [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in shown[:LINES]]
    return "\n".join([f"{path} differs{remark}", *cut, *more, accept])


def _value(path: Path, data: bytes) -> Any:
    """JSON data for a ``.json`` file, text for another, None for what is neither."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if path.suffix == ".json":
        try:
            found = json.loads(text)
        except ValueError:
            return text
        return text if found is None else found
    return text


def _lines(value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return text.splitlines()


def _diff(path: Path, a: Any, b: Any) -> list[str]:
    name = f"golden/{path.name}"
    return list(unified_diff(_lines(a), _lines(b), name, "now", lineterm=""))


def _changed(lines: list[str]) -> int:
    return sum(line[:1] in "+-" for line in lines[2:])

"""From the bytes of a contract to a validated one, every problem in one clear line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from nightproof.contract.findings import Fault, Finding, distinct, join, refusal, shown
from nightproof.errors import CodecError, ContractError

Source = str | PathLike[str] | bytes | Mapping[str, Any]
M = TypeVar("M", bound=BaseModel)


class Document(NamedTuple):
    """A contract as it was found: its JSON value, what to call it, where it lies."""

    value: dict[str, Any]
    name: str
    folder: Path | None = None
    is_json: bool = True


def read(source: Source) -> Document:
    """The JSON object in `source`: a path, JSON as bytes or ``{…`` text, or a mapping.

    Raises ContractError where there is no such file or it is not one JSON object.
    """
    if isinstance(source, Mapping):
        return Document(dict(source), "the contract", is_json=False)
    if isinstance(source, bytes | bytearray):
        return Document(_parsed(bytes(source), "the contract"), "the contract")
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return Document(_parsed(source.encode(), "the contract"), "the contract")
    path = Path(source)
    return Document(_parsed(_bytes_of(path), str(path)), str(path), path.parent)


def validated(model: type[M], document: Document) -> M:
    """The contract in `document`; ContractError with a line for each problem."""
    contract, findings = attempt(model, document)
    if contract is None:
        raise refusal(document.name, findings)
    return contract


def attempt(model: type[M], document: Document) -> tuple[M | None, list[Finding]]:
    """The contract, or None and everything that is wrong with it."""
    try:
        if document.is_json:
            contract = model.model_validate_json(json.dumps(document.value))
        else:
            contract = model.model_validate(document.value)
        _ = getattr(contract, "digest", "")  # taken now: what has no digest is not a contract
    except ValidationError as error:
        return None, distinct(_explained(error, model, document.value))
    except CodecError as error:
        path, _, what = error.message.partition(": ")
        return None, [Finding(path, what, error.hint.rstrip(".").lower(), "number")]
    return contract, []


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ContractError(
            f"there is no contract at {path}",
            "Check the path, or make one: nightproof contract new TARGET > FILE.",
        ) from None
    except IsADirectoryError:
        raise ContractError(f"{path} is a directory", "Name the JSON file in it.") from None
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {error.strerror}") from None


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    if not data.strip():
        raise ContractError(f"{name} is empty", "A contract is one JSON object.")
    try:
        value = json.loads(data, object_pairs_hook=_object, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise ContractError(
            f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            "A contract is one JSON object; comments and trailing commas are not JSON.",
        ) from None
    except UnicodeDecodeError:
        raise ContractError(f"{name} is not JSON: it is not UTF-8 text") from None
    except RecursionError:
        raise ContractError(f"{name} is nested too deeply to be a contract") from None
    except Fault as fault:
        raise ContractError(f"{name} is not a contract: {fault.problem}", fault.instead) from None
    if not isinstance(value, dict):
        raise ContractError(f"{name} is {shown(value)}, and a contract is one JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise Fault(f"the field {twice!r} is there twice in one object", "Keep one of them.")
    return value


def _constant(text: str) -> NoReturn:
    raise Fault(f"{text} is not a JSON number", "Leave the field out, or write null.")


_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
TIME_LIKE = "write date, time and offset, like 2026-10-19T00:00:00+02:00"


def _explained(error: ValidationError, model: type[BaseModel], raw: Any) -> Iterator[Finding]:
    for problem in error.errors(include_url=False, include_input=True):
        path, owner = _place(problem["loc"], model, raw, problem["type"] == "missing")
        yield _explain(problem, path, owner)


def _explain(problem: Any, path: str, owner: type[BaseModel] | None) -> Finding:
    kind: str = problem["type"]
    context = problem.get("ctx") or {}
    got = shown(problem.get("input"), path)
    fault = context.get("error")
    if isinstance(fault, Fault):
        place = join(path, fault.at) if fault.at else path
        return Finding(place, fault.problem, fault.instead, "value")
    if kind == "missing":
        return Finding(path, "is missing", "add the field", kind)
    if kind == "extra_forbidden":
        return Finding(path, "is not a field here", _suggestion(path, owner), "unknown-field")
    if kind == "timezone_aware":
        return Finding(path, f"{got} has no offset", TIME_LIKE, "naive-time")
    if kind.startswith(("datetime_", "timezone_")):
        return Finding(path, f"{got} is not a time", TIME_LIKE, "time")
    if kind.startswith("date_"):
        return Finding(path, f"{got} is not a date", "write it like 2026-10-19", "date")
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", "")).replace("'", '"')
        return Finding(path, f"is {got}", f"write {expected}", "literal")
    if kind == "string_pattern_mismatch":
        pattern = context.get("pattern", "")
        return Finding(
            path, f"{got} does not have the right form", f"it has to match {pattern}", kind
        )
    if kind in _KINDS:
        return Finding(path, f"is {got}", f"write {_KINDS[kind]}", "type")
    text = str(problem["msg"]).removeprefix("Value error, ")
    return Finding(path, f"is {got}", text.replace("Input should be", "it has to be"), kind)


def _place(
    loc: tuple[int | str, ...], model: type[BaseModel], raw: Any, missing: bool
) -> tuple[str, type[BaseModel] | None]:
    """The path of `loc` in the JSON, and the model that declares its last part.

    pydantic puts the branches of unions into a location too; what does not lead
    on in the JSON is such a branch.
    """
    path, owner, at = "", model, raw
    holder: type[BaseModel] | None = model
    for index, part in enumerate(loc):
        absent = missing and index == len(loc) - 1
        if isinstance(at, Mapping) and (part in at or absent):
            path, owner = join(path, str(part)), holder or owner
            holder, at = _declared(holder, str(part)), at.get(part)
        elif isinstance(at, list | tuple) and isinstance(part, int) and part < len(at):
            path, at = join(path, part), at[part]
    return path, owner


def _declared(model: type[BaseModel] | None, part: str) -> type[BaseModel] | None:
    """The model that the field `part` of `model` holds, alone or in a list, if any."""
    for name, field in model.model_fields.items() if model else ():
        if part in (name, field.alias):
            return next(_models_in(field.annotation), None)
    return model if model and "[" in part else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _suggestion(path: str, owner: type[BaseModel] | None) -> str:
    from difflib import get_close_matches

    if owner is None:
        return "remove it"
    names = [field.alias or name for name, field in owner.model_fields.items()]
    close = get_close_matches(path.rpartition(".")[2], names, 1)
    if close:
        return f"did you mean {close[0]}?"
    return "remove it, or declare it in the job's contract; the fields are " + ", ".join(names)

"""Making a contract: periods resolved once, datasets hashed, the result frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel

from nightproof.contract.base import Contract
from nightproof.contract.checking import checked
from nightproof.contract.dataset import Dataset
from nightproof.contract.fetching import sha256_of
from nightproof.contract.patterns import uri_keys
from nightproof.contract.periods import period
from nightproof.contract.reading import Document
from nightproof.contract.window import Window, today
from nightproof.errors import ContractError
from nightproof.model.canonical import MAX_INT

_TIMES: frozenset[Any] = frozenset({datetime, AwareDatetime})


def new_contract(
    contract_class: type[Contract],
    at: datetime,
    tz: str,
    overrides: Mapping[str, Any] | None = None,
    *,
    base: Path | None = None,
) -> dict[str, Any]:
    """The JSON of a new contract: complete, valid, free of lint.

    `overrides` maps fields (``inputs.siteId``) to values. A `Window`, or the
    period of a pair like ``periodStart`` and ``periodEnd``, may be given in words
    (``window``, ``inputs.period``: see `period`); one that is required and not
    given is the class's `default_period`. Words are resolved once, as of `at`
    in zone `tz`. A dataset may be given by a path or URI alone and is hashed now;
    relative paths start at `base`. Text is read as JSON where the field is not text.

    Raises ContractError showing every field that is missing or wrong.
    """
    today(tz, at)  # a naive time or an unknown zone is refused before anything else
    document: dict[str, Any] = {}
    for path, value in (overrides or {}).items():
        _put(document, path, value)
    _Maker(at, tz, contract_class.default_period, base).fill(contract_class, document)
    try:
        contract = checked(contract_class, Document(document, "the new contract"))
    except ContractError as error:
        hint = "Give fields with --set FIELD=VALUE, like --set inputs.siteId=fx-desk."
        raise ContractError(error.message, error.hint or hint) from None
    full: dict[str, Any] = contract.model_dump(mode="json", by_alias=True)
    brief: dict[str, Any] = _without_nulls(full)
    same = contract_class.model_validate(brief).digest == contract.digest
    return brief if same else full  # a null may stand against a default


def _put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the field at the dotted `path`, making the objects on the way."""
    *parents, last = path.split(".")
    holder = document
    for part in parents:
        holder = holder.setdefault(part, {})
        if not isinstance(holder, dict):
            raise ContractError(
                f"{path} cannot be set, since {part} was given as a value", "Give one or the other."
            )
    if isinstance(value, Mapping):
        inner = holder.setdefault(last, {})
        for key, item in value.items():
            _put(inner, key, item)
    else:
        holder[last] = value


class _Maker:
    """Completes the JSON of a contract in place, along the fields of its class."""

    def __init__(self, at: datetime, tz: str, default: str, base: Path | None) -> None:
        self.at = at
        self.tz = tz
        self.default = default
        self.base = base

    def fill(self, model: type[BaseModel], document: dict[str, Any]) -> None:
        for name, field in model.model_fields.items():
            key = field.alias or name
            if key != name and name in document:
                document[key] = document.pop(name)
            value = self._completed(field.annotation, document.get(key), field.is_required())
            if value is not None or key in document:
                document[key] = value
        self._fill_periods(model, document)
        self._fill_hashes(model, document)

    def _completed(self, annotation: Any, value: Any, required: bool) -> Any:
        kinds = set(_kinds(annotation))
        model = next((kind for kind in kinds if issubclass(kind, BaseModel)), None)
        if isinstance(value, str):
            if model is Window:
                return self._window(value)
            if model is Dataset:
                value = {"uri": value}
            elif str not in kinds or int in kinds:
                value = _as_json(value)
        if model is Window and value is None and required:
            return self._window(self.default)
        if model is not None and value is None and required:
            value = {}
        if model is not None and isinstance(value, dict):
            self.fill(model, value)
        if isinstance(value, list):
            for part in get_args(annotation):
                value = [self._completed(part, item, required=False) for item in value]
        return value

    def _window(self, words: str) -> dict[str, Any]:
        return period(words, self.tz, self.at).model_dump(mode="json", by_alias=True)

    def _fill_periods(self, model: type[BaseModel], document: dict[str, Any]) -> None:
        """``periodStart`` and ``periodEnd`` from ``period``, or from the default."""
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        for start in [key for key in fields if key.endswith("Start")]:
            stem = start.removesuffix("Start")
            end = stem + "End"
            if end not in fields or _TIMES.isdisjoint(_kinds(fields[start].annotation)):
                continue
            words = None if stem in fields else document.pop(stem, None)
            absent = start not in document and end not in document
            if words is None and not (absent and fields[start].is_required()):
                continue
            window = self._window(str(words or self.default))
            document[start], document[end] = window["start"], window["end"]

    def _fill_hashes(self, model: type[BaseModel], document: dict[str, Any]) -> None:
        names = {field.alias or name for name, field in model.model_fields.items()}
        for uri_key, sha_key in list(uri_keys(document)):
            uri = document[uri_key]
            if sha_key in names and isinstance(uri, str):
                uri = document[uri_key] = _as_uri(uri)
                if document.get(sha_key) is None:
                    document[sha_key] = sha256_of(uri, self.base)


def _kinds(annotation: Any) -> Iterator[type]:
    """The classes that a value of `annotation` may have: ``list`` for ``list[str] | None``."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif isinstance(origin or annotation, type):
        yield origin or annotation


def _as_json(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, int) and abs(value) > MAX_INT else value


def _as_uri(text: str) -> str:
    """`text` as a URI; what has no scheme is a path."""
    scheme, colon, _ = text.partition(":")
    if colon and len(scheme) > 1 and scheme.isalnum():
        return text
    return ("file://" if text.startswith("/") else "file:") + quote(text)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value

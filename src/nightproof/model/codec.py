"""Values to bytes and back, by their annotations.

A value is always handed on in its decoded form, so what a job sees live is what
a resume will see. Never pickle: the bytes are JSON.

pydantic's schema of an annotation is hardened before use: naive datetimes are
refused, bytes travel as base64, NaN and infinities survive.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from gc import get_referents
from itertools import chain
from typing import (
    Any,
    Final,
    Generic,
    TypeVar,
    cast,
)

from pydantic_core import (
    PydanticSerializationError,
    SchemaSerializer,
    SchemaValidator,
    ValidationError,
    from_json,
    to_json,
)

from nightproof.errors import CodecError

T = TypeVar("T")

REF_MARK: Final = "nightproof_ref"
"""Key in a core schema's metadata: the value is a claim check."""

_CONFIG = {
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_inf_nan": "constants",
}
_SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "str"},
    int: {"type": "int"},
    float: {"type": "float"},
    bool: {"type": "bool"},
    None: {"type": "none"},
    type(None): {"type": "none"},
}
_ATOMS = frozenset({str, int, float, bool, type(None)})
_PLAIN = _ATOMS | {list, dict}
_TEXT = frozenset({str})
RAW_FORMS: Final[dict[type, bytes]] = {str: b"t", bytes: b"b"}
"""Types that may be stored as their own bytes, and the mark that the journal keeps of it."""
_CONFIGURED = frozenset({"model", "dataclass", "typed-dict"})


class _Traits:
    """What a schema contains that the fast path cannot treat."""

    __slots__ = ("any", "as_is", "dicts", "refs", "sets", "times")

    def __init__(self) -> None:
        self.sets = self.dicts = self.any = self.refs = self.times = False


def _harden(node: Any, traits: _Traits) -> Any:
    if isinstance(node, dict):
        kind = node.get("type")
        if kind in ("set", "frozenset"):
            traits.sets = True
        elif kind == "dict":
            traits.dicts = True
        elif kind == "any":
            traits.any = True
        metadata = node.get("metadata")
        if isinstance(metadata, dict) and metadata.get(REF_MARK):
            traits.refs = True
        out = {key: _harden(value, traits) for key, value in node.items() if key != "metadata"}
        if kind in ("datetime", "time"):
            traits.times = True
            out["tz_constraint"] = "aware"
        if kind in _CONFIGURED:
            out["config"] = {**(node.get("config") or {}), **_CONFIG}
        return out
    if type(node) is list:
        return [_harden(value, traits) for value in node]
    if type(node) is tuple:
        return tuple(_harden(value, traits) for value in node)
    return node


def _ordered(value: Any) -> Any:
    """`value` with every set as a list sorted by its members' JSON."""
    if isinstance(value, (set, frozenset)):
        return sorted((_ordered(v) for v in value), key=_any_json)
    if isinstance(value, dict):
        return {k: _ordered(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_ordered(v) for v in value]
    return value


def _is_plain(value: Any) -> bool:
    """Whether `value` is nothing but JSON, so that nothing in it needs to be put in order.

    Goes level by level, without a Python call for each object inside. `value` must
    not contain itself (encoding refuses that, so encode first).
    """
    level = [value]
    while level:
        kinds = set(map(type, level))
        if not kinds <= _PLAIN:
            return False
        if dict in kinds:
            dicts = level if len(kinds) == 1 else [item for item in level if type(item) is dict]
            if not set(map(type, chain.from_iterable(dicts))) <= _TEXT:
                return False
        # What is no container refers to nothing.
        level = get_referents(*level)
    return True


def _any_json(value: Any) -> bytes:
    return to_json(value, inf_nan_mode="constants", bytes_mode="base64", by_alias=False)


def _sorted_keys(data: bytes) -> bytes:
    return json.dumps(
        json.loads(data), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    ).encode("utf-8", "surrogatepass")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_context=False)[0]
        at = ".".join(str(part) for part in problem["loc"])
        shown = repr(problem.get("input"))
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        return (f"at '{at}': " if at else "") + f"{problem['msg']} (got {shown})"
    return str(error).splitlines()[0]


class Codec(Generic[T]):
    """Encodes and decodes one annotation; `where` names it in errors.

    Raises :class:`CodecError` for a value that does not fit.
    """

    __slots__ = ("_ser", "_traits", "_val", "annotation", "where")

    def __init__(self, annotation: Any, where: str) -> None:
        self.where = where
        self.annotation = annotation
        self._traits = _Traits()
        self._ser: SchemaSerializer | None = None
        self._val: SchemaValidator | None = None
        if annotation is Any or annotation is inspect.Parameter.empty:
            self._traits.any = True
            return
        schema = _SIMPLE.get(annotation) if _hashable(annotation) else None
        if schema is None:
            schema = _harden(_core_schema(annotation, where), self._traits)
        config = cast(Any, _CONFIG)
        self._ser = SchemaSerializer(cast(Any, schema), config, _use_prebuilt=False)
        self._val = SchemaValidator(cast(Any, schema), config, _use_prebuilt=False)

    @property
    def has_refs(self) -> bool:
        """Whether the annotation contains a ``Ref``."""
        return self._traits.refs

    def encode(self, value: T) -> bytes:
        """JSON of `value`, the same for equal values (sets are sorted)."""
        if self._ser is None:
            return self._encode_any(value)
        try:
            data = self._ser.to_json(
                value, warnings="error", by_alias=False, exclude_computed_fields=True
            )
            if self._traits.sets or (self._traits.any and not _is_plain(value)):
                python = self._ser.to_python(
                    value, warnings="error", by_alias=False, exclude_computed_fields=True
                )
                _refuse_naive(python, "")
                data = _any_json(_ordered(python))
            return data
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            raise self._refuse(value, error) from None

    def raw(self, value: T) -> bytes | None:
        """The bytes of a text or of bytes, where the annotation leaves no doubt of the type."""
        kind: type = type(value)
        if self.annotation is not kind and not (self._ser is None and kind in RAW_FORMS):
            return None
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            try:
                return value.encode()
            except UnicodeEncodeError:
                return None
        return None

    def from_raw(self, data: bytes, form: bytes) -> T:
        """The value whose :meth:`raw` bytes and RAW_FORMS mark these are."""
        value: Any = data.decode() if form == RAW_FORMS[str] else data
        if self._ser is not None and self.annotation is not type(value):
            raise CodecError(
                f"{self.where} was recorded as {type(value).__name__}, and its annotation is now "
                f"{describe(self.annotation)}"
            )
        return cast(T, value)

    def canonical(self, value: T) -> bytes:
        """As :meth:`encode`, with object keys sorted as well: for fingerprints."""
        data = self.encode(value)
        if self._traits.times:
            self._refuse_naive_inside(value)
        if self._traits.dicts or (self._traits.any and type(value) not in _ATOMS):
            return _sorted_keys(data)
        return data

    def _refuse_naive_inside(self, value: T) -> None:
        # Results are refused when they are decoded; arguments never are.
        assert self._ser is not None
        try:
            _refuse_naive(self._ser.to_python(value, by_alias=False), "")
        except ValueError as error:
            raise self._refuse(value, error) from None

    def decode(self, data: bytes) -> T:
        """The value that `data` stands for."""
        if self._val is None:
            return cast(T, from_json(data))
        try:
            return cast(T, self._val.validate_json(data, by_alias=False, by_name=True))
        except ValidationError as error:
            raise CodecError(
                f"{self.where} does not match its annotation {describe(self.annotation)}: "
                f"{_first_line(error)}",
                "Return what the annotation says, or correct the annotation.",
            ) from None

    def _encode_any(self, value: Any) -> bytes:
        try:
            # Encoding comes first: it refuses a structure that contains itself.
            data = _any_json(value)
            if type(value) in _ATOMS or _is_plain(value):
                return data
            _refuse_naive(value, "")
            return _any_json(_ordered(value))
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            raise CodecError(
                f"{self.where} cannot be written as JSON: {_first_line(error)}",
                "Return or pass data (numbers, text, lists, models, ...); mark clients and "
                "connections as Ambient[...].",
            ) from None

    def _refuse(self, value: Any, error: Exception) -> CodecError:
        problem: Exception = error
        if self._val is not None:
            try:
                self._val.validate_python(value, strict=True, by_alias=False, by_name=True)
            except ValidationError as located:
                problem = located
        return CodecError(
            f"{self.where} does not match its annotation {describe(self.annotation)}: "
            f"{_first_line(problem)}",
            "Return or pass what the annotation says, or correct the annotation.",
        )


def _hashable(annotation: Any) -> bool:
    try:
        hash(annotation)
    except TypeError:
        return False
    return True


def _core_schema(annotation: Any, where: str) -> Any:
    # TypeAdapter is most of pydantic's import time; jobs of simple types go without.
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

    try:
        return TypeAdapter(annotation).core_schema
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise CodecError(
            f"{where} has the annotation {describe(annotation)}, which cannot be written as "
            f"JSON: {_first_line(error)}",
            "Use data types (models, dataclasses, numbers, text, ...); mark clients and "
            "connections as Ambient[...].",
        ) from None


def _refuse_naive(value: Any, at: str) -> None:
    tz = getattr(value, "tzinfo", value)
    if tz is None and hasattr(value, "utcoffset"):
        raise ValueError(f"naive {type(value).__name__} {value.isoformat()}{at}: give it a zone")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_naive(item, f" at '{key}'")
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, item in enumerate(value):
            _refuse_naive(item, at or f" at '{index}'")


def describe(annotation: Any) -> str:
    """An annotation as a reader wrote it."""
    if annotation is inspect.Parameter.empty:
        return "(none)"
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation)

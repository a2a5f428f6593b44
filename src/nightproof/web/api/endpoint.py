"""An endpoint: what a function's signature says is what is accepted and what is described."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from nightproof.web.site import site_of

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLAGS = {"true": True, "false": False}


class Unfit(Exception):
    """A parameter is not as it is described; says which, and why."""


@dataclass(frozen=True)
class Parameter:
    """One parameter, in the path or in the query; `many` where it may be given several times."""

    name: str
    place: str
    required: bool
    description: str
    schema: dict[str, Any]
    adapter: TypeAdapter[Any]

    @property
    def many(self) -> bool:
        """Whether it may be given several times."""
        return self.schema.get("type") == "array"

    def read(self, texts: Sequence[str]) -> Any:
        """The value that was given. Raises Unfit."""
        if len(texts) > 1 and not self.many:
            raise Unfit(f"{self.name}: it is given {len(texts)} times")
        kind = (self.schema["items"] if self.many else self.schema).get("type")
        values = [self._told(text, kind) for text in texts]
        try:
            return self.adapter.validate_python(values if self.many else values[0])
        except ValidationError as error:
            raise Unfit(f"{self.name}: {error.errors()[0]['msg']}") from None

    def _told(self, text: str, kind: object) -> Any:
        if kind == "integer":
            if not _WHOLE.fullmatch(text):
                raise Unfit(f"{self.name}: {text[:100]!r} is not a whole number")
            return int(text)
        if kind == "boolean":
            if text not in _FLAGS:
                raise Unfit(f"{self.name}: {text[:100]!r} is neither true nor false")
            return _FLAGS[text]
        return text


@dataclass(frozen=True)
class Link:
    """Where an answer leads: the operation, and which of its parameters is which part of it.

    A part is a JSON Pointer, or another runtime expression of OpenAPI.
    """

    to: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Endpoint:
    """What is answered at a path, by a function of the site (or request) and the parameters.

    The function's docstring says what it is, its annotations are the parameters and the
    document; `command` makes the same document. `refusals` are statuses of its own.
    """

    path: str
    tag: str
    call: Callable[..., Awaitable[Any]]
    command: str = ""
    refusals: tuple[int, ...] = ()
    links: Mapping[str, Link] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The operation's id."""
        first, *rest = self.call.__name__.split("_")
        return first + "".join(part.capitalize() for part in rest)

    @cached_property
    def pieces(self) -> list[str]:
        """The segments of the path."""
        return self.path.strip("/").split("/")

    @cached_property
    def told(self) -> tuple[str, str]:
        """What it is in a line, and the rest."""
        text = inspect.getdoc(self.call) or ""
        first, _, rest = text.partition("\n\n")
        return " ".join(first.split()).rstrip("."), rest

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.call, include_extras=True)

    async def answer(self, request: Request, arguments: dict[str, Any]) -> Any:
        """The document."""
        first = next(iter(self._hints.values()))
        return await self.call(request if first is Request else site_of(request), **arguments)

    @property
    def shape(self) -> Any:
        """The type of the document."""
        return self._hints["return"]

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """By the function's own names for them."""
        found = {}
        for one in list(inspect.signature(self.call).parameters.values())[1:]:
            adapter: TypeAdapter[Any] = TypeAdapter(self._hints[one.name])
            name = one.name.rstrip("_")
            schema = _given(adapter.json_schema())
            if one.default not in (inspect.Parameter.empty, None):
                schema["default"] = _shown(one.default)
            place = "path" if "{" + name + "}" in self.pieces else "query"
            found[one.name] = Parameter(
                name=name,
                place=place,
                required=one.default is inspect.Parameter.empty,
                description=schema.pop("description", ""),
                schema=schema,
                adapter=adapter,
            )
        return found

    def match(self, pieces: Sequence[str]) -> dict[str, str] | None:
        """What stands in the path for its parameters; None where it is another path."""
        if len(pieces) != len(self.pieces):
            return None
        found = {}
        for mine, given in zip(self.pieces, pieces, strict=True):
            if mine.startswith("{"):
                found[mine[1:-1]] = given
            elif mine != given:
                return None
        return found

    def read(self, path: Mapping[str, str], query: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """The arguments of the function. Raises Unfit."""
        known = {one.name for one in self.parameters.values() if one.place == "query"}
        for name, _ in query:
            if name not in known:
                can = f"it knows {', '.join(sorted(known))}" if known else "it knows none"
                raise Unfit(f"there is no parameter {name[:100]!r}: {can}")
        found = {}
        for mine, one in self.parameters.items():
            texts = [path[one.name]] if one.place == "path" else []
            texts += [text for name, text in query if name == one.name]
            if texts:
                found[mine] = one.read(texts)
            elif one.required:
                raise Unfit(f"{one.name}: it is missing")
        return found


def _given(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is given: None is how a function says that it is not."""
    branches = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(branches) == 1:
        schema = {**branches[0], **{k: v for k, v in schema.items() if k != "anyOf"}}
    known = schema.pop("$defs", {})
    schema.pop("title", None)
    schema.pop("default", None)
    return {key: _inlined(value, known) for key, value in schema.items()}


def _inlined(schema: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(one, known) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = known[schema["$ref"].rpartition("/")[2]]
        return {k: v for k, v in target.items() if k in ("enum", "type", "const")}
    return {key: _inlined(value, known) for key, value in schema.items()}


def _shown(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default

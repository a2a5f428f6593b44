"""The arguments of a call as bytes, one part for each stored parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from nightproof.errors import CodecError, MisuseError
from nightproof.model.codec import Codec


class AmbientMark:
    """Marks a parameter that is neither stored nor part of the fingerprint."""


def _is_ambient(annotation: Any) -> bool:
    return get_origin(annotation) is Annotated and any(
        isinstance(mark, AmbientMark) for mark in get_args(annotation)[1:]
    )


class Arguments:
    """The encoder of one function's arguments, in the order of its parameters."""

    __slots__ = ("_codecs", "_plain", "_signature", "encoders", "names", "positions")

    def __init__(self, fn: Callable[..., Any], where: str) -> None:
        hints = resolve_hints(fn, where)
        self._signature = inspect.signature(fn)
        self.names: list[str] = []
        self.positions: list[int] = []
        self._codecs: list[Codec[Any]] = []
        self._plain = True
        for position, (name, parameter) in enumerate(self._signature.parameters.items()):
            annotation = hints.get(name, parameter.annotation)
            if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
                self._plain = False
            if _is_ambient(annotation):
                continue
            if parameter.kind is parameter.VAR_POSITIONAL:
                annotation = cast(Any, tuple)[annotation, ...] if name in hints else Any
            elif parameter.kind is parameter.VAR_KEYWORD:
                annotation = cast(Any, dict)[str, annotation] if name in hints else Any
            self.names.append(name)
            self.positions.append(position)
            self._codecs.append(Codec(annotation, f"argument '{name}' of {where}"))
        self.encoders = [codec.canonical for codec in self._codecs]

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """All parameters by name, Ambient ones included."""
        return self._signature.parameters

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order of all parameters, defaults filled in."""
        if self._plain and not kwargs and len(args) == len(self._signature.parameters):
            return args
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise MisuseError(f"wrong arguments: {error}") from None
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def parts(self, values: tuple[Any, ...]) -> list[bytes]:
        """The JSON of each stored argument of `values` (as :meth:`bind` gives them)."""
        return [
            encode(values[at]) for encode, at in zip(self.encoders, self.positions, strict=True)
        ]


def resolve_hints(fn: Callable[..., Any], where: str) -> dict[str, Any]:
    """The annotations of `fn` with forward references resolved.

    Raises :class:`CodecError` where one cannot be resolved.
    """
    try:
        return get_type_hints(fn, include_extras=True)
    except NameError as error:
        raise CodecError(
            f"an annotation of {where} cannot be resolved: {error}",
            "Import the name at run time (not under TYPE_CHECKING) in the module of the function.",
        ) from None

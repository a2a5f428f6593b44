"""The arguments of a call as bytes, one part for each stored parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

from nightproof.errors import CodecError, MisuseError
from nightproof.model.codec import Codec


class AmbientMark:
    """Marks a parameter that is neither stored nor part of the fingerprint.

    `factory` makes a value where the call's own is out of reach, in another process.
    """

    def __init__(self, factory: Callable[[], Any] | None = None) -> None:
        self.factory = factory


def _ambient(annotation: Any) -> AmbientMark | None:
    if get_origin(annotation) is not Annotated:
        return None
    marks = [mark for mark in get_args(annotation)[1:] if isinstance(mark, AmbientMark)]
    # The innermost comes first: Annotated[Ambient[T], ambient(f)] is one with a factory.
    return marks[-1] if marks else None


class Arguments:
    """The encoder of one function's arguments, in the order of its parameters."""

    __slots__ = (
        "_ambient", "_codecs", "_plain", "_signature", "encoders", "names", "positions", "where",
    )  # fmt: skip

    def __init__(self, fn: Callable[..., Any], where: str) -> None:
        hints = resolve_hints(fn, where)
        self.where = where
        self._signature = inspect.signature(fn)
        self.names: list[str] = []
        self.positions: list[int] = []
        self._codecs: list[Codec[Any]] = []
        self._ambient: dict[str, AmbientMark] = {}
        self._plain = True
        for position, (name, parameter) in enumerate(self._signature.parameters.items()):
            annotation = hints.get(name, parameter.annotation)
            if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
                self._plain = False
            if (mark := _ambient(annotation)) is not None:
                self._ambient[name] = mark
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

    def values(
        self, parts: Sequence[bytes], make: Callable[[Callable[[], Any]], Any]
    ) -> tuple[Any, ...]:
        """The arguments behind `parts`, in another process: those that are stored, decoded.

        An Ambient one is what `make` gives for its factory, or its default. Raises CodecError
        for a part that is not its parameter's, MisuseError for an Ambient without either.
        """
        stored = {
            name: codec.decode(part)
            for name, codec, part in zip(self.names, self._codecs, parts, strict=True)
        }
        return tuple(
            stored[name] if name in stored else self._provided(name, parameter, make)
            for name, parameter in self.parameters.items()
        )

    def value(self, at: int, part: bytes) -> Any:
        """The stored argument number `at` (in the order of `names`) behind its part."""
        return self._codecs[at].decode(part)

    def _provided(
        self, name: str, parameter: inspect.Parameter, make: Callable[[Callable[[], Any]], Any]
    ) -> Any:
        factory = self._ambient[name].factory
        if factory is not None:
            return make(factory)
        if parameter.default is parameter.empty:
            raise self._out_of_reach(name)
        return parameter.default

    def _out_of_reach(self, name: str) -> MisuseError:
        return MisuseError(
            f"argument '{name}' of {self.where} is Ambient: it cannot travel to the worker that "
            "runs the call, and that worker does not know how to make it",
            f"Annotate it `{name}: Annotated[T, ambient(make)]` with a function `make` without "
            "arguments (called once in each worker), or give it a default and leave it out.",
        )

    def refuse_unsendable(self, values: tuple[Any, ...]) -> None:
        """Raise MisuseError where another process could not make an Ambient one of `values`."""
        for value, (name, parameter) in zip(values, self.parameters.items(), strict=True):
            mark = self._ambient.get(name)
            if mark is not None and mark.factory is None and value is not parameter.default:
                raise self._out_of_reach(name)

    def call(self, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`values` (as :meth:`bind` gives them) as positional and keyword arguments."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for value, (name, parameter) in zip(values, self.parameters.items(), strict=True):
            if parameter.kind is parameter.VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is parameter.VAR_KEYWORD:
                kwargs.update(value)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                kwargs[name] = value
            else:
                args.append(value)
        return tuple(args), kwargs


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

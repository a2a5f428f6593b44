"""Large values by digest."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast, get_args

from pydantic_core import core_schema

from nightproof.durable.context import any_runtime
from nightproof.errors import BlobError
from nightproof.model.codec import REF_MARK, Codec

T = TypeVar("T")


class Ref(Generic[T]):
    """A claim check: a value that lives in the blob store and travels by its sha256.

    A step that returns ``Ref[T]`` writes ``return Ref(value)``; whoever needs the
    value calls :meth:`get`. The fingerprint of a step that takes a Ref covers the
    digest, so it is as cheap as a short text.
    """

    __slots__ = ("_annotation", "_value", "_with_value", "sha256", "size")

    def __init__(self, value: T) -> None:
        self._value: Any = value
        self._with_value = True
        self._annotation: Any = Any
        self.sha256 = ""
        self.size = -1

    @classmethod
    def _stored(cls, sha256: str, size: int, annotation: Any) -> Ref[T]:
        ref = cls.__new__(cls)
        ref._value, ref._with_value = None, False  # noqa: SLF001 - its own class
        ref._annotation = annotation  # noqa: SLF001 - its own class
        ref.sha256, ref.size = sha256, size
        return ref

    def get(self) -> T:
        """The value, read from the blob store and verified.

        Raises BlobError when it is missing or damaged, or outside a run.
        """
        if self._with_value:
            return cast(T, self._value)
        runtime = any_runtime()
        if runtime is None:
            raise BlobError(
                f"Ref sha256:{self.sha256[:12]} was read outside a run",
                "Read it inside a step, or return the value itself.",
            )
        return cast(T, Codec(self._annotation, "a Ref").decode(runtime.get_blob(self.sha256)))

    def __repr__(self) -> str:
        return f"Ref(sha256:{self.sha256[:12]}, {self.size} bytes)" if self.sha256 else "Ref(new)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ref):
            return NotImplemented
        if self.sha256 and other.sha256:
            return self.sha256 == other.sha256
        return self._with_value and other._with_value and bool(self._value == other._value)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        args = get_args(source)
        annotation = args[0] if args else Any

        def load(data: Any) -> Ref[T]:
            if isinstance(data, Ref):
                return data
            return cls._stored(data["sha256"], data["size"], annotation)

        def dump(ref: Any) -> dict[str, Any]:
            stored: dict[str, Any] = ref._store(annotation)  # noqa: SLF001 - its own class
            return stored

        return core_schema.no_info_plain_validator_function(
            load,
            metadata={REF_MARK: True},
            serialization=core_schema.plain_serializer_function_ser_schema(dump),
        )

    def _store(self, annotation: Any) -> dict[str, Any]:
        if not self.sha256:
            runtime = any_runtime()
            if runtime is None:
                raise ValueError("a new Ref can only be stored inside a run")
            data = Codec(annotation, "a Ref").encode(self._value)
            self.sha256, self.size = runtime.put_blob(data)
        return {"sha256": self.sha256, "size": self.size}

"""The contract: one frozen JSON document that says all a run may depend on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, time
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, SecretBytes, SecretStr, model_validator

from nightproof.contract.findings import Fault
from nightproof.contract.frozen import FrozenDict, FrozenList
from nightproof.contract.reading import TIME_LIKE, Source, read, validated
from nightproof.errors import MisuseError
from nightproof.model.canonical import canonical, sha256_hex


def camel(name: str) -> str:
    """The JSON name of a field: ``dataset_sha256`` is ``datasetSha256``."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


class ContractModel(BaseModel):
    """A part of a contract: frozen, camelCase in JSON, unknown fields refused.

    Derive nested parts (``inputs``) from it. Lists and dicts inside are frozen
    too; times have to be aware; sets are refused, since their order in JSON
    changes from one process to the next.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=camel,
        populate_by_name=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
    )

    @model_validator(mode="after")
    def _freeze(self) -> Self:
        fields = self.__dict__
        for name, field in type(self).model_fields.items():
            value = fields[name]
            if type(value) not in _PLAIN:
                fields[name] = _frozen(value, field.alias or name)
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A new contract with the fields of `update` (by name), validated again."""
        del deep  # nothing here can be changed, so nothing has to be copied
        fields = {name: self.__dict__[name] for name in type(self).model_fields}
        return type(self).model_validate({**fields, **(update or {})})


_PLAIN = frozenset({str, int, float, bool, type(None), FrozenList, FrozenDict})


def _frozen(value: Any, where: str) -> Any:
    """`value` such that it cannot change; ValueError for what has no lasting digest."""
    if type(value) in _PLAIN or isinstance(value, ContractModel):
        return value
    if isinstance(value, list):
        return FrozenList(_frozen(item, f"{where}[{i}]") for i, item in enumerate(value))
    if isinstance(value, dict):
        return FrozenDict({key: _frozen(item, f"{where}.{key}") for key, item in value.items()})
    if isinstance(value, tuple):
        for i, item in enumerate(value):
            _frozen(item, f"{where}[{i}]")
        return value
    if isinstance(value, datetime | time) and value.tzinfo is None:
        raise Fault("the time has no offset", TIME_LIKE, at=where)
    if isinstance(value, set | frozenset):
        raise MisuseError(
            f"{where} is a set, and the order of a set in JSON changes with every process",
            "Declare it as a list or a tuple.",
        )
    if isinstance(value, SecretStr | SecretBytes):
        raise MisuseError(
            f"{where} is a secret, and a contract is stored and shown",
            "Read it from the environment inside a step; name the variable here at most.",
        )
    if isinstance(value, BaseModel) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    ):
        raise MisuseError(
            f"{where} is a {type(value).__name__}, which can change after the digest was taken",
            "Derive it from nightproof.contract.ContractModel.",
        )
    return value


class Contract(ContractModel):
    """What a job may depend on; subclass it and declare the fields.

    Two contracts with one digest are one run. Fields that are null count as
    absent, 0 and 0.0 as equal; a time keeps its offset, since the day it names
    depends on it.
    """

    default_period: ClassVar[str] = "yesterday"
    """What ``contract new`` puts into a window that is not given: see `period`."""

    contract_version: Literal["1"] = "1"
    if TYPE_CHECKING:
        # Checkers refuse Literal["daily-revenue"] in a subclass where this is a mutable str.
        task: Any
    else:
        task: str

    @cached_property
    def digest(self) -> str:
        """``sha256:<hex>`` over the canonical JSON: the identity of the run.

        Raises CodecError where a value cannot be written, like an int beyond 2^53.
        """
        return "sha256:" + sha256_hex(self.canonical())

    @cached_property
    def source_folder(self) -> Path | None:
        """Where the contract's file lies; ``file:`` URIs that are relative start there."""
        return None

    def canonical(self) -> bytes:
        """The bytes that the digest is taken over (RFC 8785, nulls dropped)."""
        return canonical(self.model_dump(mode="json", by_alias=True))

    def to_json(self) -> str:
        """The contract as JSON to read and to keep: camelCase, in the order declared."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"

    @classmethod
    def load(cls, source: Source) -> Self:
        """Read a contract from a path, from JSON (bytes, or text that begins with ``{``)
        or from a mapping.

        Raises ContractError with one line per problem. It does not lint:
        `nightproof.contract.check` does both.
        """
        document = read(source)
        contract = validated(cls, document)
        return contract.in_folder(document.folder)

    def in_folder(self, folder: str | PathLike[str] | None) -> Self:
        """This contract, with relative ``file:`` URIs starting at `folder`."""
        if folder is not None:
            self.__dict__["source_folder"] = Path(folder)
        return self

"""What a contract pins besides data: models, prompts, and the form of a sha256."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from nightproof.contract.base import ContractModel
from nightproof.contract.findings import Fault, shown
from nightproof.contract.patterns import (
    HEX,
    HEX_HINT,
    PROMPT,
    PROMPT_HINT,
    alias_fault,
    sha256_fault,
    version_of,
)
from nightproof.model.canonical import MAX_INT


def _sha256(text: str) -> str:
    if HEX.fullmatch(text):
        return text
    raise Fault(sha256_fault(text), HEX_HINT)


def _prompt(text: str) -> str:
    if PROMPT.fullmatch(text):
        return text
    raise Fault(f"{shown(text)} is not a prompt id with a version", PROMPT_HINT)


def _seed(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Fault("the seed is not a whole number", "write one, like 7")
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise Fault("the seed is beyond 2^53 - 1", f'write it as text: "{value}"')
    if isinstance(value, str) and not re.fullmatch(r"-?(?:0|[1-9][0-9]*)", value):
        raise Fault("the seed is not a decimal number", 'write one, like 7 or "9007199254740993"')
    return value


Sha256 = Annotated[
    str,
    AfterValidator(_sha256),
    Field(json_schema_extra={"pattern": f"^{HEX.pattern}$"}),
]
"""The sha256 of a file, as 64 lower-case hex digits."""

PromptId = Annotated[
    str,
    AfterValidator(_prompt),
    Field(json_schema_extra={"pattern": f"^{PROMPT.pattern}$"}),
]
"""A prompt template and its version: ``weekly-report@7``."""


class ModelPin(ContractModel):
    """Which model is asked for, and with what.

    `id` is what the team calls it, `pinned_version` the version that is requested
    from the provider: never an alias, which means another model next month.
    `seed` beyond 2^53 is written as text. `params` are further parameters in the
    provider's own words. `on_mismatch` says what becomes of a run that another
    version answered: "record" (or None) notes it, "halt" fails it with ModelMismatch.
    """

    id: str
    pinned_version: str
    temperature: float | None = None
    seed: Annotated[int | str | None, BeforeValidator(lambda v: v if v is None else _seed(v))] = (
        None
    )
    params: dict[str, JsonValue] | None = None
    # None and not "record": a new default would give every contract with a pin a new digest.
    on_mismatch: Literal["record", "halt"] | None = None

    @property
    def seed_value(self) -> int | None:
        """The seed as a number, however it was written."""
        return None if self.seed is None else int(self.seed)


Status = Literal["matched", "mismatched", "alias echoed", "not reported"]
"""How far the model that answered is known to be the one that was asked for."""


class Pinned(NamedTuple):
    """What of a pin bears on an answer; `halt`: a mismatch fails the run."""

    id: str
    version: str
    halt: bool


def pins_of(document: Any) -> list[Pinned]:
    """Every model pin in a contract's JSON, in order."""
    found: list[Pinned] = []
    if isinstance(document, dict):
        version = document.get("pinnedVersion")
        if isinstance(version, str):
            halt = document.get("onMismatch") == "halt"
            found.append(Pinned(str(document.get("id", "")), bare(version), halt))
        document = list(document.values())
    if isinstance(document, list):
        for item in document:
            found += pins_of(item)
    return found


def pin_for(requested: str, pins: list[Pinned]) -> Pinned | None:
    """The pin that a request for `requested` goes by: by its version, else by its id."""
    name = bare(requested)
    versions = [pin for pin in pins if pin.version == name]
    return next(iter([*versions, *(pin for pin in pins if pin.id == name)]), None)


def bare(name: str) -> str:
    """A model's name without the path that some providers put before it.

    ``models/gemini-3.5-flash-002`` (Gemini), ``publishers/google/models/…`` (Vertex).
    """
    head, _, tail = name.rpartition("models/")
    return tail if not head or head.endswith("/") else name


def status_of(requested: str, reported: str | None, pin: Pinned | None = None) -> Status:
    """What a provider's report of the model that answered is worth.

    *matched*: it names a version, and that is the pinned one; without a pin, the one
    that was requested, or a version of the alias that was. *alias echoed*: it repeats
    the alias (or the pin's id), which says nothing of the version behind it.
    *mismatched*: it names another model. *not reported*: it names none.
    """
    if not reported:
        return "not reported"
    name, asked = bare(reported), bare(requested)
    wanted = asked if pin is None else pin.version
    if name == wanted:
        return "alias echoed" if alias_fault(wanted, pin.id if pin else None) else "matched"
    if pin is not None:
        return "alias echoed" if name == pin.id else "mismatched"
    of_alias = alias_fault(asked) and version_of(name, asked)
    return "matched" if of_alias else "mismatched"

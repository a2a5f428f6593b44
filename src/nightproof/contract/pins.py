"""What a contract pins besides data: models, prompts, and the form of a sha256."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from nightproof.contract.base import ContractModel
from nightproof.contract.findings import Fault, shown
from nightproof.contract.patterns import HEX, HEX_HINT, PROMPT, PROMPT_HINT, sha256_fault
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
    provider's own words.
    """

    id: str
    pinned_version: str
    temperature: float | None = None
    seed: Annotated[int | str | None, BeforeValidator(lambda v: v if v is None else _seed(v))] = (
        None
    )
    params: dict[str, JsonValue] | None = None

    @property
    def seed_value(self) -> int | None:
        """The seed as a number, however it was written."""
        return None if self.seed is None else int(self.seed)

"""What a contract pins besides data: models, prompts, and the form of a sha256."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from nightproof.contract.base import ContractModel
from nightproof.contract.findings import Fault, shown
from nightproof.model.canonical import MAX_INT

HEX = re.compile(r"[0-9a-f]{64}")
PROMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*@[1-9][0-9]*")

HEX_HINT = "write the sha256 of the file, 64 lower-case hex digits (`sha256sum FILE` prints it)"
PROMPT_HINT = (
    "write name@version, like weekly-report@7, for the template prompts/weekly-report@7.md"
)


def _sha256(text: str) -> str:
    if HEX.fullmatch(text):
        return text
    raise Fault(sha256_fault(text), HEX_HINT)


def sha256_fault(text: str) -> str:
    """What is wrong with `text` as a sha256, in words."""
    if text.startswith("sha256:"):
        return "the sha256 has a prefix"
    if HEX.fullmatch(text.lower()):
        return "the sha256 has upper-case digits"
    return f"this is not a sha256 ({len(text)} characters)"


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


@cache
def _version() -> re.Pattern[str]:
    return re.compile(
        r"""(?ix) (?:^|[-@:_./]) (?:
              v?\d{3,8}                        # -002, @20250929, -2411
            | \d{4}-\d{2}(?:-\d{2})?           # -2026-04-23
            | \d{2}-\d{2,4}                    # -05-20
            | v\d+(?:[.:]\d+)*                 # -v1:0
            | v?\d+\.\d+\.\d+[\w.+-]*          # -1.4.2
            | (?:sha256[:-])?(?=[a-f]*\d)[0-9a-f]{7,64}    # a commit or the digest of the weights
        ) $""",
    )


def alias_fault(version: str, id: str | None = None) -> str:
    """Why `version` does not pin a model; empty where it does."""
    if version.lower().endswith("latest"):
        return f'"{version}" means another model whenever the provider decides'
    if version == id:
        return f'"{version}" is the id itself, which is an alias'
    if not _version().search(version):
        return f'"{version}" ends in no version or date, so it is an alias'
    return ""

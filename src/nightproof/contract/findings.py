"""What is wrong with a contract, one line each, and the error that carries the lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from nightproof.contract.secrets import redact, secret_key, secret_kind
from nightproof.errors import ContractError


class Finding(NamedTuple):
    """One thing that is wrong with a contract.

    `path` is the field in camelCase (``inputs.periodStart``, ``datasets[0].sha256``),
    `problem` what is wrong with it, `instead` what to write, `rule` a stable name.
    """

    path: str
    problem: str
    instead: str
    rule: str

    @property
    def line(self) -> str:
        """The finding as one line; never shows a secret."""
        where = redact(self.path) or "contract"
        text = f"{where}: {self.problem}" + (f"; {self.instead}" if self.instead else "")
        return redact(" ".join(text.split()))


class Fault(ValueError):
    """Raised by validators here: says what to write instead, apart from what is wrong."""

    def __init__(self, problem: str, instead: str, at: str = "") -> None:
        super().__init__(f"{at}: {problem}; {instead}" if at else f"{problem}; {instead}")
        self.problem = problem
        self.instead = instead
        self.at = at


def refusal(name: str, findings: Sequence[Finding]) -> ContractError:
    """The ContractError that shows all `findings` of the contract called `name`."""
    lines = list(dict.fromkeys(finding.line for finding in findings))
    if len(lines) == 1:
        return ContractError(f"{name} is refused: {lines[0]}")
    return ContractError(
        f"{name} is refused, {len(lines)} problems:\n" + "\n".join(f"  {line}" for line in lines)
    )


def join(path: str, part: str | int) -> str:
    """`part` of the value at `path`."""
    if isinstance(part, int):
        return f"{path}[{part}]"
    if secret_kind(part):
        part = "(hidden)"
    return f"{path}.{part}" if path else part


def shown(value: Any, path: str = "") -> str:
    """`value` as short JSON for a message, or only its kind where it may be secret."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if secret_key(path.rpartition(".")[2]):
        return "a hidden value"
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = redact(text)  # before it is cut, or half a secret would pass unrecognised
    return text if len(text) <= 60 else text[:57] + '..."'


def distinct(findings: Iterable[Finding]) -> list[Finding]:
    """`findings` without those about a field that an earlier one is about already."""
    seen: dict[str, Finding] = {}
    for finding in findings:
        seen.setdefault(finding.path, finding)
    return list(seen.values())

"""Checking a contract as a whole: its form and its lint, every problem at once."""

from __future__ import annotations

from typing import Any, TypeVar

from nightproof.contract.base import Contract
from nightproof.contract.findings import distinct, refusal
from nightproof.contract.lint import lint
from nightproof.contract.reading import Document, Source, attempt, read

C = TypeVar("C", bound=Contract)


def check(contract_class: type[C], source: Source | C) -> C:
    """The contract in `source`, valid for its class and free of lint.

    `source` is a path, JSON, a mapping or a contract made in Python. Raises one
    ContractError that shows everything that is wrong.
    """
    if isinstance(source, Contract):
        ensure_clean(source)
        if isinstance(source, contract_class):
            return source
        source = source.model_dump(mode="json", by_alias=True)
    document = read(source)
    return checked(contract_class, document)


def checked(contract_class: type[C], document: Document) -> C:
    """The contract in `document`; see `check`."""
    contract, problems = attempt(contract_class, document)
    # of two lines about one field, lint's says more about what to write
    found = lint(contract or document.value)
    findings = distinct([*found, *problems])
    if contract is None or findings:
        raise refusal(document.name, findings)
    return contract.in_folder(document.folder)


def ensure_clean(contract: Contract) -> None:
    """Raise ContractError where `contract` has findings; a run starts with this."""
    if findings := lint(contract):
        raise refusal(f"the contract of {contract.task}", findings)


def schema(contract_class: type[Contract]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the contracts of a job, by their JSON names."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **contract_class.model_json_schema(by_alias=True, mode="validation"),
    }

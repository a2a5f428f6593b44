"""Contracts: what a run may depend on, stated as one frozen JSON document."""

from typing import TYPE_CHECKING, Any

from nightproof.contract.base import Contract, ContractModel
from nightproof.contract.checking import check, ensure_clean, schema
from nightproof.contract.dataset import Dataset, Uri, Verified, datasets, fetch, verify_all
from nightproof.contract.findings import Finding
from nightproof.contract.lint import lint
from nightproof.contract.pins import ModelPin, PromptId, Sha256
from nightproof.contract.uris import local_path
from nightproof.contract.window import Moment, Window

if TYPE_CHECKING:
    from nightproof.contract.making import new_contract
    from nightproof.contract.periods import period

__all__ = [
    "Contract",
    "ContractModel",
    "Dataset",
    "Finding",
    "ModelPin",
    "Moment",
    "PromptId",
    "Sha256",
    "Uri",
    "Verified",
    "Window",
    "check",
    "datasets",
    "ensure_clean",
    "fetch",
    "lint",
    "local_path",
    "new_contract",
    "period",
    "schema",
    "verify_all",
]


def __getattr__(name: str) -> Any:
    """Load what only ``contract new`` needs when it is asked for: start-up time."""
    if name in ("new_contract", "period"):
        from nightproof.contract import making, periods

        return making.new_contract if name == "new_contract" else periods.period
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

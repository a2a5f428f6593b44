"""Contracts: what a run may depend on, stated as one frozen JSON document.

Only the base classes are loaded at once; each model costs start-up time, and most
jobs use one or two of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nightproof.contract.base import Contract, ContractModel
from nightproof.contract.checking import check, ensure_clean, schema
from nightproof.contract.findings import Finding
from nightproof.contract.lint import lint

if TYPE_CHECKING:
    from nightproof.contract.dataset import Dataset, Uri, Verified, datasets, fetch, verify_all
    from nightproof.contract.making import new_contract
    from nightproof.contract.periods import period
    from nightproof.contract.pins import ModelPin, PromptId, Sha256
    from nightproof.contract.uris import local_path
    from nightproof.contract.window import Moment, Window

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

_HOMES = {
    "Dataset": "dataset",
    "ModelPin": "pins",
    "Moment": "window",
    "PromptId": "pins",
    "Sha256": "pins",
    "Uri": "dataset",
    "Verified": "dataset",
    "Window": "window",
    "datasets": "dataset",
    "fetch": "dataset",
    "local_path": "uris",
    "new_contract": "making",
    "period": "periods",
    "verify_all": "dataset",
}


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value

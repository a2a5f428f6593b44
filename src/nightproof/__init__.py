"""nightproof: nightly jobs that finish, act once, repeat themselves and say why when they do not."""

from typing import TYPE_CHECKING, Any

from nightproof import app as _app
from nightproof import contract as _contract
from nightproof.contract import Contract, ContractModel
from nightproof.durable.context import Artifact, idempotency_key
from nightproof.durable.effect import Effect, effect
from nightproof.durable.job import Job, job
from nightproof.durable.notes import artifact, decide, expect, measure
from nightproof.durable.once import once
from nightproof.durable.ref import Ref
from nightproof.durable.step import Ambient, Step, ambient, step
from nightproof.durable.values import now, random, sleep, sleep_until, uuid, wait_for
from nightproof.errors import (
    AlreadyRunning,
    EffectConflict,
    EffectHeld,
    Exhausted,
    Interrupted,
    ModelMismatch,
    NightproofError,
    NotDone,
    Permanent,
    PromptError,
    RunCancelled,
    RunFailed,
    RunParked,
    StepFailed,
    Transient,
    Unauthenticated,
)
from nightproof.model.retry import Retry

if TYPE_CHECKING:
    from nightproof.contract import Dataset, ModelPin, PromptId, Window
    from nightproof.contract.prompts import PromptTemplate
    from nightproof.durable.prompts import prompt
    from nightproof.durable.quotas import spend
    from nightproof.durable.served import served
    from nightproof.limits import Quota

__version__ = "0.1.0"

__all__ = [
    "AlreadyRunning",
    "Ambient",
    "Artifact",
    "Contract",
    "ContractModel",
    "Dataset",
    "Effect",
    "EffectConflict",
    "EffectHeld",
    "Exhausted",
    "Interrupted",
    "Job",
    "ModelMismatch",
    "ModelPin",
    "NightproofError",
    "NotDone",
    "Permanent",
    "PromptError",
    "PromptId",
    "PromptTemplate",
    "Quota",
    "Ref",
    "Retry",
    "RunCancelled",
    "RunFailed",
    "RunParked",
    "Step",
    "StepFailed",
    "Transient",
    "Unauthenticated",
    "Window",
    "ambient",
    "artifact",
    "decide",
    "effect",
    "expect",
    "idempotency_key",
    "job",
    "measure",
    "now",
    "once",
    "prompt",
    "random",
    "served",
    "sleep",
    "sleep_until",
    "spend",
    "step",
    "uuid",
    "wait_for",
]

assert _app is not None


_LATER = {
    "PromptTemplate": "nightproof.contract.prompts",
    "Quota": "nightproof.limits",
    "prompt": "nightproof.durable.prompts",
    "served": "nightproof.durable.served",
    "spend": "nightproof.durable.quotas",
}


def __getattr__(name: str) -> Any:
    """Load what few jobs use when it is asked for: each costs start-up time."""
    if name in ("Dataset", "ModelPin", "PromptId", "Window"):
        return getattr(_contract, name)
    if name in _LATER:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_LATER[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Every error nightproof raises, in one tree.

::

    NightproofError                 has .message, .hint (what to do) and .exit_code
    ├── UsageError                  bad input: contract, target, configuration (exit 2)
    │   ├── ContractError           a contract that is not valid, or not lint-clean
    │   │   └── DatasetMismatch     a dataset whose bytes are not those the contract names
    │   ├── TargetError             a TARGET that cannot be imported or is not a job
    │   ├── ConfigError             a setting that is not valid
    │   ├── NotFound                no such run, effect or signal
    │   ├── CodeChanged             --strict, and the code is not what the run recorded
    │   └── EnvironmentChanged      --strict, and the environment is not that of the last attempt
    ├── StoreError                  the journal cannot be read or written
    │   ├── StoreFull               no space left
    │   ├── StoreReadOnly           no permission to write
    │   ├── StoreDamaged            the file is not a healthy journal
    │   ├── StoreBusy               another process held the write lock too long
    │   └── StoreTooNew             written by a newer nightproof
    ├── BlobError                   a blob is missing or its bytes are not its digest
    ├── EngineError                 the engine's server cannot be reached, or refuses
    ├── AlreadyRunning              another live attempt owns the run (exit 0)
    ├── LeaseLost                   this attempt was fenced off by another
    ├── Forked                      the journal was used from a forked child
    ├── Interrupted                 the attempt was asked to stop; the run can be resumed (exit 75)
    ├── RunParked                   the run waits longer than the park limit (exit 75)
    │   └── EffectHeld              an effect's outcome is unknown and a person decides
    ├── RunFailed                   the run ended in failure (exit 1)
    ├── RunCancelled                the run was cancelled (exit 1)
    ├── StepFailed                  a step failed for good; carries the attempt history
    └── Permanent                   never worth a retry
        ├── CodecError              a value does not match its annotation or cannot be encoded
        ├── EffectConflict          one effect key, two sets of arguments
        ├── NotDone                 raised by an effect: it certainly did not happen
        ├── ExpectationFailed       expect(...) was not met
        ├── DeadlineExceeded        the run's deadline has passed
        ├── ModelMismatch           another model answered than the contract pins, and it halts
        ├── UndeclaredRead          --strict, and something was read that nothing declares
        ├── PromptError             a prompt template is missing, changed, or cannot be filled in
        └── MisuseError             the library was called in a way that cannot work
    Transient                       raise it to ask for a retry; .retry_after in seconds
    Exhausted                       a quota is used up; .resets_at says until when
    Unauthenticated                 a credential was refused; the step that made it runs again

``Transient``, ``Exhausted`` and ``Unauthenticated`` are NightproofErrors too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict


class AttemptNote(TypedDict):
    """One failed try of a step: when, what was raised, how triage read it."""

    at: str
    type: str
    message: str
    triage: str


class NightproofError(Exception):
    """Base of everything here.

    `message` says what happened and where; `hint` says what to do next.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(NightproofError):
    """The input is wrong; nothing was started."""

    exit_code = 2


class ContractError(UsageError):
    """A contract is not valid JSON, not valid for its job, or not lint-clean."""


class DatasetMismatch(ContractError):
    """A dataset's bytes do not have the sha256 that the contract names."""


class TargetError(UsageError):
    """A TARGET (``file.py:job`` or ``package.module:job``) cannot be loaded."""


class ConfigError(UsageError):
    """A setting in pyproject.toml, nightproof.toml, the environment or a flag is not valid."""


class NotFound(UsageError):
    """There is no such run, effect, step or signal in the store."""


class CodeChanged(UsageError):
    """The run was recorded by other code and ``strict`` was asked for."""


class EnvironmentChanged(UsageError):
    """The last attempt ran in another environment and ``strict`` was asked for."""


class StoreError(NightproofError):
    """The journal cannot be read or written."""


class StoreFull(StoreError):
    """The disk (or quota) that holds the journal or its blobs is full."""


class StoreReadOnly(StoreError):
    """The journal may not be written by this user."""

    exit_code = 2


class StoreDamaged(StoreError):
    """The journal file is not a healthy database."""


class StoreBusy(StoreError):
    """Another process kept the write lock for longer than nightproof waits."""


class StoreTooNew(StoreError):
    """The journal was written by a newer nightproof."""

    exit_code = 2


class BlobError(NightproofError):
    """A blob is missing, or its bytes no longer have its digest."""


class EngineError(NightproofError):
    """The server of the engine (Temporal) cannot be reached, or refuses what is asked of it."""


class AlreadyRunning(NightproofError):
    """Another live attempt owns the run, named `run`; nothing needs to be done."""

    exit_code = 0

    def __init__(self, message: str, hint: str = "", *, run: str = "") -> None:
        super().__init__(message, hint)
        self.run = run


class LeaseLost(NightproofError):
    """This attempt no longer owns its run; what it was about to write was refused."""


class Forked(NightproofError):
    """The journal was used in a child made by ``fork``; only the parent may write it."""


class Interrupted(NightproofError):
    """The attempt was asked to stop (SIGTERM, Ctrl-C); the run can be resumed."""

    exit_code = 75


class RunParked(NightproofError):
    """The run waits for longer than the park limit; resume it at or after `until`."""

    exit_code = 75

    def __init__(self, message: str, hint: str = "", *, until: datetime | None = None) -> None:
        super().__init__(message, hint)
        self.until = until


class EffectHeld(RunParked):
    """An effect's outcome is unknown and its policy leaves the decision to a person."""


class RunFailed(NightproofError):
    """The run ended in failure; `type` is the exception's class name."""

    def __init__(self, message: str, hint: str = "", *, type: str = "RunFailed") -> None:
        super().__init__(message, hint)
        self.type = type


class RunCancelled(NightproofError):
    """The run was cancelled."""


class StepFailed(NightproofError):
    """A step failed for good, live and on replay alike.

    `step` is its name, `type` and `message` the last exception, `attempts` the
    history of its tries, oldest first.
    """

    def __init__(
        self,
        step: str,
        type: str,
        message: str,
        attempts: Sequence[AttemptNote] = (),
        key: str = "",
    ) -> None:
        where = f"step '{step}'" + (f" [{key}]" if key else "")
        tries = f" after {len(attempts)} attempts" if len(attempts) > 1 else ""
        super().__init__(f"{where} failed{tries}: {type}: {message}")
        self.step = step
        self.type = type
        self.reason = message
        self.attempts = list(attempts)
        self.key = key


class Permanent(NightproofError):
    """Raise it (or a subclass) where another try cannot help."""


class CodecError(Permanent):
    """A value does not match its annotation, or cannot be written as JSON."""


class EffectConflict(Permanent):
    """The same effect key was used before with other arguments."""


class NotDone(Permanent):
    """Raise it in an effect to say that the act certainly did not happen."""


class ExpectationFailed(Permanent):
    """An ``expect(...)`` was not met."""


class DeadlineExceeded(Permanent):
    """The run's deadline has passed."""


class UndeclaredRead(Permanent):
    """Something was read that neither contract nor settings declare, and ``strict`` was asked for."""


class ModelMismatch(Permanent):
    """Another model answered than the contract pins, and its pin halts the run on that."""


class PromptError(Permanent):
    """A prompt template is not there, has changed under its version, or cannot be filled in."""


class MisuseError(Permanent):
    """The library was called in a way that cannot work."""


class Transient(NightproofError):
    """Raise it to ask for a retry; `retry_after` (seconds) is a minimum wait."""

    def __init__(self, message: str, hint: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class Exhausted(NightproofError):
    """A quota is used up and nothing was done; `resets_at` (aware): when it is there again."""

    def __init__(self, message: str, hint: str = "", *, resets_at: datetime | None = None) -> None:
        super().__init__(message, hint)
        self.resets_at = resets_at


class Unauthenticated(NightproofError):
    """A credential was refused, nothing was done; the step that made it is asked once more."""

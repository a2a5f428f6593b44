"""``nightproof prompts check | lock``."""

from __future__ import annotations

from pathlib import Path

from nightproof.cli.session import Session, complain, emit, note
from nightproof.cli.table import rows
from nightproof.contract.prompts import LOCK, Version, changed, lock_all, versions
from nightproof.errors import PromptError, UsageError

DIFFERS = 3


def check(session: Session, folder: Path) -> int:
    """Show every version and its state; 3 where one is changed or not locked."""
    found = _versions(folder)
    if session.json:
        emit({"folder": str(folder), "prompts": [_document(one) for one in found]})
    elif found:
        shown = [(one.id, one.state, (one.sha256 or one.locked or "")[:12]) for one in found]
        print("\n".join(rows(("prompt", "state", "sha256"), shown)))
    else:
        note(f"there is no prompt template in {folder}")
    for one in found:
        if one.state == "changed":
            complain(changed(one.id, folder, one.locked or "", one.sha256 or ""))
    new = [one.id for one in found if one.state == "not locked"]
    if new:
        note(f"not locked: {', '.join(new)}; `nightproof prompts lock {folder}` does it")
    return DIFFERS if any(one.state in ("changed", "not locked") for one in found) else 0


def lock(session: Session, folder: Path) -> int:
    """Add what the lock does not have yet."""
    _versions(folder)
    try:
        new = lock_all(folder)
    except PromptError as error:
        complain(error)
        return DIFFERS
    if session.json:
        emit({"folder": str(folder), "locked": new})
    else:
        print(f"{folder / LOCK}: " + (f"locked {', '.join(new)}" if new else "nothing new"))
    return 0


def _versions(folder: Path) -> list[Version]:
    try:
        return versions(folder)
    except PromptError as error:
        raise UsageError(error.message, error.hint) from None


def _document(one: Version) -> dict[str, str | None]:
    return {"id": one.id, "state": one.state, "sha256": one.sha256, "locked": one.locked}

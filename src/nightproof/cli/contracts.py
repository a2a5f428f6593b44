"""``nightproof contract new | check | schema | digest``."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from nightproof.cli import running, targets
from nightproof.cli.session import Session, emit, note
from nightproof.contract import check as checked
from nightproof.contract import new_contract
from nightproof.contract import schema as schema_of
from nightproof.contract.base import Contract
from nightproof.contract.prompts import FOLDER, find, named
from nightproof.errors import ContractError, PromptError, UsageError
from nightproof.model import clock


def _class(target: str) -> type[Contract]:
    return running.contract_type(targets.load(target).job)


def new(target: str, tz: str | None, given: list[str], at: str | None, output: Path | None) -> int:
    """Write a contract: what is relative is resolved now, and never again."""
    overrides: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"--set {text}: expected FIELD=VALUE", "--set inputs.siteId=fx-desk")
        overrides[name] = value
    wanted = _class(target)
    base = output.absolute().parent if output is not None else Path.cwd()
    document = new_contract(wanted, _moment(at), _zone(tz), overrides, base=base)
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    if output is None:
        print(text, end="")
        return 0
    if output.exists():
        raise UsageError(f"{output} is there already", "A contract is frozen; give another name.")
    output.write_text(text, encoding="utf-8")
    note(f"wrote {output}: {wanted.load(document).digest}")
    return 0


def _zone(tz: str | None) -> str:
    zone = tz or os.environ.get("TZ", "").removeprefix(":")
    if not zone:
        note("no --tz was given: periods are resolved in UTC")
        return "UTC"
    return zone


def _moment(at: str | None) -> datetime:
    if at is None:
        return clock.now()
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UsageError(
            f"--at {at} is not a time with an offset", "For example 2026-10-26T06:00:00+01:00."
        )
    return moment


def check(session: Session, target: str, given: str) -> int:
    """Say whether a run would take the contract."""
    job = targets.load(target).job
    try:
        contract = checked(running.contract_type(job), _source(given))
        _prompts(contract, Path(job.target.rpartition(":")[0]).parent)
    except ContractError as error:
        if session.json:
            emit({"ok": False, "digest": None, "error": error.message})
        raise
    if session.json:
        emit({"ok": True, "digest": contract.digest, "error": None})
    else:
        print(f"ok  {contract.digest}")
    return 0


def _prompts(contract: Contract, beside_job: Path) -> None:
    """Refuse a prompt that is not there or has changed, where the project keeps prompts."""
    folders = [place / FOLDER for place in (beside_job, contract.source_folder) if place]
    folders = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    if folders:
        for prompt_id in named(contract.model_dump(mode="json", by_alias=True)):
            try:
                find(prompt_id, folders)
            except PromptError as error:
                raise ContractError(error.message, error.hint) from None


def _source(given: str) -> str | bytes:
    return sys.stdin.buffer.read() if given == "-" else given


def schema(target: str) -> int:
    """Print the JSON Schema."""
    emit(schema_of(_class(target)))
    return 0


def digest(target: str, given: str) -> int:
    """Print the digest."""
    print(checked(_class(target), _source(given)).digest)
    return 0

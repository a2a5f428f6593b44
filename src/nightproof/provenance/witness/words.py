"""Reads in words: what was read, and what to write so that it is declared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nightproof.provenance.witness.reads import IMPORT, UNPLACED, Read


def who(read: Read) -> str:
    """For which part of the job it was read."""
    if read.step == IMPORT:
        return "the import of the job"
    if read.step == UNPLACED:
        return "a thread"
    return f"step '{read.step}'" if read.step else "the job's body"


def remedy(read: Read) -> str:
    """What to write so that an undeclared read is declared."""
    if read.what == "variable":
        return _setting("variables", read.name)
    if read.what == "host":
        return _setting("hosts", read.name.rpartition(":")[0].strip("[]") or read.name)
    if read.what == "program":
        return _setting("programs", read.name.rpartition("/")[2])
    if read.what == "folder":
        return _setting("files", read.name.rstrip("/") + "/")
    setting = _setting("files", read.name)
    if read.digest is None:
        return setting
    dataset = {"uri": Path(read.name).as_uri(), "sha256": read.digest.removeprefix("sha256:")}
    return f"a Dataset in the contract: {json.dumps(dataset)}, or {setting}"


def _setting(name: str, value: str) -> str:
    return f"the setting {name} = [{json.dumps(value, ensure_ascii=False)}]"


def summary(reads: Sequence[Read]) -> str:
    """One line for the log: how many of what, and the first that nothing declares."""
    kinds = Counter(what for what, _ in {(read.what, read.name) for read in reads})
    told = ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in kinds.items())
    names = list(dict.fromkeys(read.name for read in reads if read.undeclared))
    if not names:
        return f"read {told}"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"read {told}; undeclared: {', '.join(names[:3])}{more}"

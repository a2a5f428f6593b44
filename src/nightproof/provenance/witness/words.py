"""Reads in words: what was read, and what to write so that it is declared."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nightproof.provenance.witness.reads import IMPORT, UNPLACED, Read

MANY = 20
"""More files than this are declared by their folder."""


def who(read: Read) -> str:
    """For which part of the job it was read."""
    if read.step == IMPORT:
        return "the import of the job"
    if read.step == UNPLACED:
        return "a thread"
    return f"step '{read.step}'" if read.step else "the job's body"


def remedy(read: Read, dataset: str | None = None) -> str:
    """What to write so that one undeclared read is declared.

    `dataset` is what :func:`dataset_of` gives, where that is known already.
    """
    setting = "the setting " + settings([read])[0]
    dataset = dataset_of(read) if dataset is None else dataset
    return f"a Dataset in the contract: {dataset}, or {setting}" if dataset else setting


def dataset_of(read: Read) -> str:
    """A file as the Dataset of a contract, in JSON; empty for what cannot be one."""
    if read.what != "file" or read.digest is None:
        return ""
    found = {"uri": Path(read.name).as_uri(), "sha256": read.digest.removeprefix("sha256:")}
    return json.dumps(found)


def settings(reads: Sequence[Read]) -> list[str]:
    """The settings that would declare reads, one line each; very many files by their folder."""
    named: dict[str, dict[str, None]] = {}
    for read in reads:
        setting, value = _setting(read)
        named.setdefault(setting, {})[value] = None
    files = named.get("files", {})
    if len(files) > MANY:
        named["files"] = {os.path.commonpath(list(files)).rstrip("/") + "/": None}
    return [
        f"{setting} = {json.dumps(list(values), ensure_ascii=False)}"
        for setting, values in sorted(named.items())
    ]


def _setting(read: Read) -> tuple[str, str]:
    if read.what == "variable":
        return "variables", read.name
    if read.what == "host":
        return "hosts", read.name.rpartition(":")[0].strip("[]") or read.name
    if read.what == "program":
        return "programs", read.name.rpartition("/")[2]
    return "files", read.name.rstrip("/") + "/" if read.what == "folder" else read.name


def undeclared(reads: Sequence[Read]) -> list[str]:
    """What nothing declares, each once."""
    return list(dict.fromkeys(f"{read.what} {read.name}" for read in reads if read.undeclared))


def summary(reads: Sequence[Read]) -> str:
    """One line for the log: how many of what, and the first that nothing declares."""
    kinds = Counter(what for what, _ in {(read.what, read.name) for read in reads})
    told = ", ".join(f"{count} {what}{'s' if count > 1 else ''}" for what, count in kinds.items())
    names = undeclared(reads)
    if not names:
        return f"read {told}"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"read {told}; undeclared: {', '.join(names[:3])}{more}"

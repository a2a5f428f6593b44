"""Prompt templates: files with a version in their name, and a lock of their digests.

``prompts/weekly-report@7.md`` is one version and never changes;
``prompts/prompts.lock.json`` says of each version which sha256 its file has.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any, Literal, NamedTuple

from nightproof.contract.patterns import HEX, PROMPT, PROMPT_HINT
from nightproof.errors import PromptError

FOLDER = "prompts"
LOCK = "prompts.lock.json"
SUFFIX = ".md"

State = Literal["locked", "changed", "not locked", "no file"]


@dataclass(frozen=True)
class PromptTemplate:
    """One version of a prompt; may be handed to a step.

    `id` is ``name@version``, `sha256` that of the file's bytes, `text` its content.
    """

    id: str
    sha256: str
    text: str

    def section(self, title: str) -> PromptTemplate:
        """What stands below the heading ``## title``, up to the next one like it.

        Raises PromptError where there is not exactly one.
        """
        parts = re.split(r"(?m)^## +(.+?) *$", self.text)
        found = [body for head, body in zip(parts[1::2], parts[2::2], strict=True) if head == title]
        if len(found) != 1:
            there = ", ".join(parts[1::2]) or "none"
            raise PromptError(
                f"prompt {self.id} needs exactly one heading '## {title}'; its headings: {there}"
            )
        return PromptTemplate(self.id, self.sha256, found[0].strip())

    def render(self, /, **values: Any) -> str:
        """The text with every ``$name`` replaced; ``$$`` is a dollar sign.

        Raises PromptError for a name without a value.
        """
        try:
            return Template(self.text).substitute(values)
        except KeyError as error:
            known = ", ".join(sorted(values)) or "none"
            raise PromptError(
                f"prompt {self.id}: ${error.args[0]} has no value; values given: {known}"
            ) from None
        except ValueError as error:
            raise PromptError(f"prompt {self.id}: {error}", "Write $$ for a dollar sign.") from None


class Found(NamedTuple):
    """A template as read: its file, and whether the lock says the same."""

    template: PromptTemplate
    path: Path
    locked: bool


class Version(NamedTuple):
    """A version as the folder has it; `sha256` is None without a file."""

    id: str
    state: State
    sha256: str | None
    locked: str | None


def find(prompt_id: str, folders: list[Path]) -> Found:
    """The template `prompt_id` in the first of `folders` that has its file.

    Raises PromptError for an id without a version, a file that is not there or not
    UTF-8, a text that is not the locked one, and a version that the lock beside it
    does not have.
    """
    if not PROMPT.fullmatch(prompt_id):
        raise PromptError(f"'{prompt_id}' is not a prompt id with a version", PROMPT_HINT)
    for folder in folders:
        path = folder / f"{prompt_id}{SUFFIX}"
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise PromptError(f"{path} cannot be read: {error.strerror or error}") from None
        return _checked(prompt_id, path, content)
    raise _missing(prompt_id, folders)


def named(document: Any, key: str = "") -> Iterator[str]:
    """The prompt ids in a contract's JSON: the versions in fields that are about prompts."""
    if isinstance(document, dict):
        for name, item in document.items():
            yield from named(item, name)
    elif isinstance(document, list):
        for item in document:
            yield from named(item, key)
    elif isinstance(document, str) and "rompt" in key and PROMPT.fullmatch(document):
        yield document


def _checked(prompt_id: str, path: Path, content: bytes) -> Found:
    digest = sha256(content).hexdigest()
    lock = read_lock(path.parent)
    locked = None if lock is None else lock.get(prompt_id)
    if locked is not None and locked != digest:
        raise changed(prompt_id, path.parent, locked, digest)
    if lock is not None and locked is None:
        raise PromptError(
            f"{path.parent / LOCK} does not have {prompt_id}: nothing would notice a change",
            f"Write it down with `nightproof prompts lock {path.parent}`.",
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PromptError(f"{path} is not UTF-8: {error}", "Save it as UTF-8.") from None
    return Found(PromptTemplate(prompt_id, digest, text), path, locked is not None)


def _missing(prompt_id: str, folders: list[Path]) -> PromptError:
    name = prompt_id.partition("@")[0]
    there = {
        path.name.removesuffix(SUFFIX) for folder in folders for path in folder.glob(f"{name}@*.md")
    }
    versions = ", ".join(sorted(there, key=_order)) or "none"
    looked = " or ".join(dict.fromkeys(str(folder) for folder in folders))
    return PromptError(
        f"there is no {prompt_id}{SUFFIX} in {looked}; versions of {name} there: {versions}",
        f"Put the template into {FOLDER}/{prompt_id}{SUFFIX} beside the job or the contract.",
    )


def changed(prompt_id: str, folder: Path, locked: str, digest: str) -> PromptError:
    """The error for a text that was edited under its old version."""
    new = next_version(prompt_id, folder)
    # The next version stands in the message: a failed step keeps no hint.
    return PromptError(
        f"{folder / (prompt_id + SUFFIX)} is not the text that was locked as {prompt_id} "
        f"(sha256 {locked[:12]}… was locked, {digest[:12]}… is there); a changed text is a new "
        f"version: save it as {new}{SUFFIX}",
        f"Put the old text back (`git checkout -- {prompt_id}{SUFFIX}`), lock the new one with "
        f"`nightproof prompts lock {folder}`, and write {new} in the contract.",
    )


def next_version(prompt_id: str, folder: Path) -> str:
    """The first version of the same prompt that has never been used."""
    name = prompt_id.partition("@")[0]
    known = [prompt_id, *(read_lock(folder) or {}), *(one.stem for one in folder.glob("*@*.md"))]
    same = [one for one in known if PROMPT.fullmatch(one) and one.partition("@")[0] == name]
    return f"{name}@{max(int(one.partition('@')[2]) for one in same) + 1}"


def read_lock(folder: Path) -> dict[str, str] | None:
    """The lock of a folder of prompts, id to sha256; None where there is none.

    Raises PromptError for one that is not valid.
    """
    path = folder / LOCK
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise PromptError(f"{path} is not JSON: {error}", _MEND) from None
    entries = found.items() if isinstance(found, dict) else [("", "")]
    for prompt_id, digest in entries:
        if not (PROMPT.fullmatch(prompt_id) and isinstance(digest, str) and HEX.fullmatch(digest)):
            raise PromptError(
                f"{path}: {json.dumps(prompt_id)} is not a prompt id with the sha256 of its text",
                _MEND,
            )
    return dict(entries)


_MEND = "Put back the version that was committed (`git checkout`), and lock again."


def versions(folder: Path) -> list[Version]:
    """Every version in a folder of prompts or in its lock, by name and number.

    Raises PromptError for a folder that is not there, a lock that is not valid, and
    a file whose name has an ``@`` but no version behind it.
    """
    if not folder.is_dir():
        raise PromptError(
            f"there is no folder {folder}", "Name it: nightproof prompts check job/prompts"
        )
    lock = read_lock(folder) or {}
    digests: dict[str, str] = {}
    for path in folder.glob("*@*.md"):
        if not PROMPT.fullmatch(path.stem):
            raise PromptError(f"{path}: '{path.stem}' is not name@version", PROMPT_HINT)
        digests[path.stem] = sha256(path.read_bytes()).hexdigest()
    return [
        Version(one, _state(digests.get(one), lock.get(one)), digests.get(one), lock.get(one))
        for one in sorted({*digests, *lock}, key=_order)
    ]


def _state(digest: str | None, locked: str | None) -> State:
    if digest is None:
        return "no file"
    if locked is None:
        return "not locked"
    return "locked" if digest == locked else "changed"


def lock_all(folder: Path) -> list[str]:
    """Write down the versions that the lock does not have yet; their ids.

    A version without a file keeps its line: its name must not come to mean another
    text. Raises PromptError, and writes nothing, where a locked text has changed.
    """
    found = versions(folder)
    for one in found:
        if one.state == "changed":
            raise changed(one.id, folder, one.locked or "", one.sha256 or "")
    new = [one.id for one in found if one.state == "not locked"]
    if new:
        _write(folder / LOCK, {one.id: one.locked or one.sha256 or "" for one in found})
    return new


def _write(path: Path, lock: Mapping[str, str]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def _order(prompt_id: str) -> tuple[str, int, str]:
    name, _, version = prompt_id.partition("@")
    return name, int(version) if version.isdigit() else 0, version

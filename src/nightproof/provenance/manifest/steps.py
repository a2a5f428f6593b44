"""The steps of a run as its manifest lists them, read from the journal.

The order is that of names and fingerprints, not of time, so that two runs that
did the same have the same list, whatever ran beside what.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from nightproof.journal.protocol import Reader
from nightproof.journal.records import Entry, RunRow
from nightproof.model import clock
from nightproof.model.canonical import canonical, sha256_hex
from nightproof.model.states import Kind

_PAGE = 200
_WORDS = {Kind.RESULT: "step", Kind.FAILURE: "step", Kind.CHILD: "child", Kind.EFFECT: "effect"}
_KINDS = (*_WORDS, Kind.UNDONE, Kind.REOPENED)


class Steps(NamedTuple):
    """What a run did: steps, items and child runs, and apart from them its effects."""

    steps: list[dict[str, str]]
    effects: list[dict[str, str]]


async def read_steps(reader: Reader, row: RunRow) -> Steps:
    """Everything on record that counts: of a call that failed and was tried again, the last."""
    standing: dict[bytes, dict[str, str]] = {}
    undone: set[bytes] = set()
    codes: dict[int, tuple[str, str]] = {}
    after = -1
    while True:
        entries = await reader.entries(row.id, _KINDS, after, _PAGE)
        unknown = {entry.code for entry in entries if entry.code and entry.code not in codes}
        if unknown:
            found = await reader.codes(unknown)
            codes.update((number, (code.name, code.digest)) for number, code in found.items())
        for entry in entries:
            if entry.kind == Kind.REOPENED:
                standing = {
                    fp: step
                    for fp, step in standing.items()
                    if step["state"] == "done" and fp not in undone
                }
                undone.clear()
            elif entry.kind == Kind.UNDONE:
                undone.add(entry.fp)
            else:
                standing[entry.fp] = _step(entry, *codes.get(entry.code, ("?", "")))
        if len(entries) < _PAGE:
            break
        after = entries[-1].seq
        await clock.turn()
    listed = sorted(standing.values(), key=lambda step: (step["name"], step["fingerprint"]))
    return Steps(
        [step for step in listed if step["kind"] != "effect"],
        [step for step in listed if step["kind"] == "effect"],
    )


def _step(entry: Entry, name: str, code: str) -> dict[str, str]:
    inputs = parsed(entry.inputs)
    failed = entry.kind == Kind.FAILURE
    if not entry.code and isinstance(inputs, list) and inputs:
        name = str(inputs[0])  # a child run
    step = {
        "name": _text(name),
        "kind": "child" if not entry.code else _WORDS[Kind(entry.kind)],
        "state": "failed" if failed else "done",
        "fingerprint": entry.fp.hex(),
    }
    if code:
        step["code"] = code
    if isinstance(inputs, dict) and "key" in inputs:
        step["key"] = _text(str(inputs["key"]))
    if entry.blob is not None:
        step["output"] = entry.blob
    elif failed:
        # The recorded history of the tries holds times; what failed, and how, does not.
        told = parsed(entry.output)
        kept = (told.get("type"), told.get("message")) if isinstance(told, dict) else ()
        step["output"] = "sha256:" + sha256_hex(json.dumps(kept).encode())
    elif entry.output is not None:
        step["output"] = "sha256:" + sha256_hex(entry.output)
    return step


def list_bytes(steps: list[dict[str, str]]) -> bytes:
    """The list as it is hashed and kept: a line of canonical JSON for each step."""
    return b"".join(canonical(step) + b"\n" for step in steps)


def parsed(data: bytes | None) -> Any:
    """Stored JSON; None where there is none, or where it is damaged."""
    try:
        return json.loads(data) if data else None
    except ValueError:
        return None


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()

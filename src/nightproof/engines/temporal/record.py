"""What a workflow knows of its run's record: the index that it began with."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, cast

from nightproof.engines.attempt.ledger import Ledger
from nightproof.engines.temporal.execution import Execution
from nightproof.engines.temporal.messages import BeginAnswer, change_fp
from nightproof.journal.records import CodeRow, Recorded


class _NoLane:
    """A workflow writes nothing itself: activities do."""

    def __init__(self) -> None:
        self.writes: deque[Any] = deque(maxlen=0)


class Record(Ledger):
    """The index by fingerprint, and the code that it was recorded with."""

    def __init__(self, run: Execution, begun: BeginAnswer) -> None:
        super().__init__(
            cast("Any", None), run.host.blobs, cast("Any", _NoLane()), begun["run"]["name"]
        )
        self._run = run
        self.strict = run.ask["strict"]
        self.damaged = begun.get("damaged", 0)
        self.undone = {bytes.fromhex(fp) for fp in begun.get("undone", ())}
        for fp, seq, kind, code, size, output, blob in begun.get("index", ()):
            mark = bytes.fromhex(fp)
            data = None if output is None else output.encode()
            self.recorded[mark] = Recorded(seq, kind, code, mark, size, data, blob)
        self._codes = {
            int(number): CodeRow(int(number), name, digest)
            for number, (name, digest) in begun.get("codes", {}).items()
        }

    def take(self, fp: bytes) -> Recorded | None:
        """What is on record of a call, once."""
        return self.recorded.pop(fp, None)

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Have a line of the log written with the next activity."""
        self._run.note(kind, data)

    def code_changed(self, what: str, before: str, after: str) -> None:
        """As the ledger's; workers notice the same change and write the same line."""
        run, strict = self._run, self.strict
        if strict:
            super().code_changed(what, before, after)  # raises
        self.changed[what] = (before, after)
        told = {"kind": "code-changed", "what": what, "before": before, "after": after}
        text = json.dumps(told, ensure_ascii=False)
        run.asking.event(text, change_fp(run.facts["token"], what, before, after))


def short(found: Recorded | None) -> bytes | None:
    """The whole output, where the index has it; None where only an activity can get it."""
    if found is None or found.blob is not None:
        return None
    if found.output is None:
        return b"" if not found.size else None
    return found.output

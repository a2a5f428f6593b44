"""Several processes work on one attempt where an engine distributes: each has a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Workers:
    """The environments of a run's last attempt, from its snapshot events in their order."""

    def __init__(self) -> None:
        self._by: dict[str, dict[str, Any]] = {}
        self._attempt: Any = None
        self.last: dict[str, Any] | None = None
        """The newest of them; for an attempt in one process the only one."""

    def add(self, note: Mapping[str, Any]) -> None:
        """Take one ``snapshot`` event."""
        attempt = note.get("attempt")
        if attempt is None or attempt != self._attempt:
            self._by, self._attempt = {}, attempt
        self.last = dict(note)
        self._by[str(note.get("worker", ""))] = self.last

    @property
    def several(self) -> dict[str, dict[str, Any]]:
        """The last of each worker, by its name; empty where one process worked."""
        return self._by if len(self._by) > 1 else {}

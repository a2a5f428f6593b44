"""What was heard of an attempt's reads, before anybody looks at what was read.

Hearing is on every file that user code opens, so it only keeps what passes by; it is
sorted out by :meth:`Heard.sort`, later or when something is about to change.
"""

from __future__ import annotations

import os
from _thread import RLock
from collections.abc import Callable
from typing import Any, NamedTuple

IMPORT = "import"
MANY = 20
"""So many calls of one step are told apart in what they read; further ones are put together."""
MOST = 200_000
"""So many different reads an attempt may make; then no more are recorded."""
EXACT = 200
"""So many files may wait to be sorted; who opens more at that speed is taken for the last one.

To look up the caller costs more than all the rest, and a loop over files has one."""
BACKLOG = 20_000
"""So many are kept unsorted at most."""


class Sound(NamedTuple):
    """One read as it was heard; `by` is the file of the code that read.

    `what` is as in a Read, and ``copied`` for a variable that was read with all others;
    `value` is a variable's value.
    """

    what: str
    name: str
    step: str
    fp: bytes
    by: str
    value: str | None = None


class Heard:
    """What was heard of one attempt, or of the process outside of any; any thread adds to it."""

    __slots__ = (
        "_lock",
        "_pid",
        "_seen",
        "cut",
        "early",
        "fresh",
        "judge",
        "log",
        "made",
        "phase",
        "unsettled",
        "written",
    )

    def __init__(self, process: Heard | None = None) -> None:
        self.log: list[tuple[Any, Any, dict[str, Any] | None]] = []
        """Files that were opened to read, unsorted: path, where, and the reader's globals."""
        self.fresh: list[Sound] = []
        self.unsettled: set[str] = set()
        """Files, and folders with a slash behind them, that were not looked at yet."""
        self.early: dict[str, Any] = {}
        """What they looked like before they were changed."""
        self.written: set[str] = process.written if process else set()
        """Files and ``$variables`` that the job itself has set."""
        self.made: set[str] = process.made if process else set()
        """Folders that the job itself has made."""
        self.judge: Callable[[Sound], None] | None = None
        """Under strict: raises where a read is not declared."""
        self.phase = IMPORT
        self.cut = False
        self._seen: dict[tuple[str, str], bytes | set[bytes]] = {}
        self._lock = RLock()  # a finaliser may change files while this sorts
        self._pid = os.getpid()

    def sort(self) -> None:
        """Find what is new in the log."""
        with self._turn():
            count = len(self.log)
            passed = self.log[:count]
            del self.log[:count]
            last: dict[str, Any] = {}
            for given, where, reader in passed:
                last = last if reader is None else reader
                if path := absolute(given):
                    self.add("file", path, path, *place(self, where), last)

    def _turn(self) -> RLock:
        """The lock. A forked child has one of its own: the thread that held it is not there.

        A hook at the fork would be too late: hooks before it may read variables.
        """
        if self._pid != os.getpid():
            self._lock, self._pid = RLock(), os.getpid()
        return self._lock

    def take(self) -> list[Sound]:
        """What is new since the last call."""
        self.sort()
        with self._turn():
            taken, self.fresh = self.fresh, []
        return taken

    def add(
        self,
        what: str,
        mark: str,
        name: str,
        step: str,
        fp: bytes,
        reader: dict[str, Any],
        value: str | None = None,
    ) -> None:
        """Note a read; `mark` is its name among reads of every kind. Raises what the judge does."""
        with self._turn():
            key = (mark, step)
            known = self._seen.get(key)
            calls: set[bytes] | None = None
            if known is not None:
                if known == fp:
                    return
                calls = {known} if isinstance(known, bytes) else known
                if fp in calls or len(calls) > MANY:
                    return
            if mark in self.written or (self.made and self._in_made(mark)):
                return
            by = str(reader.get("__file__") or reader.get("__name__") or "")
            sound = Sound(what, name, step, fp, by, value)
            if self.judge is not None:
                self.judge(sound)
            if calls is None:
                if len(self._seen) >= MOST:
                    self.cut = True
                    return
                self._seen[key] = fp
            else:
                calls.add(fp)
                self._seen[key] = calls
                if len(calls) > MANY:
                    sound = sound._replace(fp=b"")
            if what in ("file", "folder"):
                self.unsettled.add(mark)
            self.fresh.append(sound)

    def _in_made(self, mark: str) -> bool:
        """Whether it is, or lies in, a folder that the job itself has made."""
        folder = mark.rstrip("/") if mark[:1] == "/" else ""
        while folder:
            if folder in self.made:
                return True
            folder = folder.rpartition("/")[0]
        return False

    def look(self, path: str) -> None:
        """Look at a file, and the folder it is in, now, if they were read and not looked at yet."""
        self.sort()
        around = path.rpartition("/")[0] + "/"
        for mark in (path, around):
            if mark in self.unsettled:
                from nightproof.provenance import looking  # where a job changes what it has read

                self.unsettled.discard(mark)
                self.early[mark] = looking.folder(mark) if mark[-1] == "/" else looking.file(mark)


def place(heard: Heard, where: Any) -> tuple[str, bytes]:
    """The step, and its fingerprint, for which the code at `where` works."""
    if where is None:
        return heard.phase, b""
    return getattr(where, "name", ""), getattr(where, "fp", b"")


def absolute(path: Any) -> str:
    """A path as text from the root; empty for a number, or what is no path."""
    if type(path) is str and path[:1] == "/":
        return path
    try:
        if isinstance(path, int):
            return ""
        text = os.fsdecode(path)
        return text if text[:1] in ("/", "") else f"{os.getcwd()}/{text}"  # noqa: PTH109
    except (TypeError, OSError):
        return ""

"""Sessions that people have ended: their cookies are refused, also after a restart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nightproof.model import clock

FOLDER = "dashboard.ended"


class EndedSessions:
    """The sessions that were logged out of, until they would have ended by themselves.

    With a folder each is an empty file in it, named by its end and its id: dashboards that have
    the same token heed each other, and nobody has to write over anything. Where that cannot be
    kept `say` is told so, and it is known to this process only.
    """

    def __init__(
        self, folder: Path | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        self._folder = folder
        self._say = say
        self._until: dict[str, int] = {}

    def add(self, session: str, expires: int) -> None:
        """End a session."""
        now = clock.now_ms() // 1000
        self._until = {one: until for one, until in self._until.items() if until > now}
        self._until[session] = expires
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file(session, expires).touch(mode=0o600)
            self._tidy(now)
        except OSError as error:
            told = error.strerror or error
            if self._say is not None:
                self._say(f"a session has ended until the next start only: {self._folder}: {told}")

    def has(self, session: str, expires: int) -> bool:
        """Whether a session was ended."""
        if session in self._until:
            return True
        try:
            return self._folder is not None and self._file(session, expires).exists()
        except OSError:
            return False

    def _file(self, session: str, expires: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{expires}.{session}"

    def _tidy(self, now: int) -> None:
        """Forget what has ended by itself."""
        assert self._folder is not None
        for one in self._folder.iterdir():
            until = one.name.partition(".")[0]
            if until.isdecimal() and int(until) <= now:
                with suppress(FileNotFoundError):  # another dashboard was quicker
                    one.unlink()

"""When something that did not work is tried again: soon, then less and less often."""

from __future__ import annotations

from nightproof.model import clock

FIRST_SECONDS = 5.0
LAST_SECONDS = 3600.0


class Patience:
    """Waits by key: five seconds after a good end, doubling up to an hour after bad ones.

    With `once` nothing is ever tried a second time.
    """

    def __init__(self) -> None:
        self.once = False
        self._waits: dict[str, tuple[float, float]] = {}

    def may(self, key: str) -> bool:
        """Whether it may be tried now."""
        if key not in self._waits:
            return True
        return not self.once and clock.monotonic() >= self._waits[key][0]

    def ended(self, key: str, well: bool) -> None:
        """It ended; `well`: there is no reason to wait long."""
        last = self._waits.get(key, (0.0, 0.0))[1]
        wait = FIRST_SECONDS if well else min(max(FIRST_SECONDS, last * 2), LAST_SECONDS)
        self._waits[key] = (clock.monotonic() + wait, wait)
        self._forget()

    def _forget(self) -> None:
        """What has not been tried for hours is over."""
        before = clock.monotonic() - 2 * LAST_SECONDS
        if not self.once:
            self._waits = {key: one for key, one in self._waits.items() if one[0] >= before}

"""What a store keeps of quotas: what is used, until when it counts, and who waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

LONGEST_MS: Final = 40 * 86_400_000
"""A quota that is parked for longer was parked by a clock that was wrong."""
FORGOTTEN_MS: Final = 3_600_000
"""A wait that was over so long ago is nobody's any more."""


class Ask(NamedTuple):
    """One allowance of a quota, as it is asked for.

    `cap` is the most that may be in use at once, `until` (milliseconds) when what is
    taken now lapses; uses that lapse after `horizon` were written by a clock that was
    wrong and do not count. Without `counted` it only has to have something left.
    """

    what: str
    cap: float
    until: int
    horizon: int
    counted: bool


class Grant(NamedTuple):
    """`n` permits; with none, when to ask again (milliseconds) and why."""

    n: int
    until: int = 0
    reason: str = ""


class Claimant(NamedTuple):
    """Who asks: the part of the quota that it uses, and the run."""

    sharer: str
    run: str


class SpendQuota(NamedTuple):
    """So much of an allowance was used; it counts until `until` (milliseconds)."""

    quota: str
    what: str
    sharer: str
    until: int
    n: float


class QuotaUse(NamedTuple):
    """How much of an allowance a sharer has in use."""

    what: str
    sharer: str
    n: float
    until: int
    """When the first of it lapses."""


class QuotaWait(NamedTuple):
    """A run that waits for a quota, since when and until when (milliseconds)."""

    run: str
    since: int
    until: int


class QuotaRow(NamedTuple):
    """All that a store knows of a quota; `parked` is 0 where it is not parked."""

    name: str
    spec: str
    parked: int
    reason: str
    uses: tuple[QuotaUse, ...] = ()
    waits: tuple[QuotaWait, ...] = ()


class QuotaReader(Protocol):
    """The quotas of a store."""

    async def quotas(self, now_ms: int) -> list[QuotaRow]:
        """Every quota that was ever used, by name, as it is now."""
        ...


class QuotaBook(Protocol):
    """Taking from the quotas of a store."""

    async def take(
        self, name: str, spec: str, who: Claimant, asks: Sequence[Ask], want: int, now_ms: int
    ) -> Grant:
        """Up to `want` permits, at once or not at all; writes down who waits."""
        ...

    async def park_quota(self, name: str, spec: str, until: int, reason: str, now_ms: int) -> int:
        """Nobody gets anything before `until`; returns the time in force, which may be later."""
        ...

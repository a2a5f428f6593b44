"""How often a token may be tried."""

from __future__ import annotations

import ipaddress
from math import ceil

from nightproof.model import clock

TRIES = 5
"""Wrong ones that an address may give in a row …"""
SECONDS_EACH = 30.0
"""… and after how long it may give another one."""
TRIES_IN_ALL = 60
SECONDS_EACH_IN_ALL = 2.0
_REMEMBERED = 4096


class _Bucket:
    """A number of tries that fills up again with time."""

    def __init__(self, size: int, seconds_each: float) -> None:
        self._size, self._each = size, seconds_each
        self._level, self._at = float(size), clock.monotonic()

    def _fill(self) -> float:
        now = clock.monotonic()
        self._level = min(self._size, self._level + (now - self._at) / self._each)
        self._at = now
        return self._level

    def wait(self) -> float:
        return max(0.0, (1 - self._fill()) * self._each)

    def take(self) -> None:
        self._level = max(0.0, self._fill() - 1)


class Limiter:
    """Counts wrong tokens by address and over all; right ones cost nothing.

    An address that has given the right one is not held up by what others try.
    """

    def __init__(self) -> None:
        self._all = _Bucket(TRIES_IN_ALL, SECONDS_EACH_IN_ALL)
        self._by: dict[str, _Bucket] = {}
        self._good: dict[str, None] = {}

    def wait(self, address: str) -> int:
        """For how many seconds this address may not try; 0 when it may."""
        place = _place(address)
        own = self._by.get(place)
        seconds = own.wait() if own else 0.0
        if place not in self._good:
            seconds = max(seconds, self._all.wait())
        return ceil(seconds)

    def failed(self, address: str) -> None:
        """Note that a wrong token was given."""
        place = _place(address)
        self._all.take()
        bucket = self._by.pop(place, None) or _Bucket(TRIES, SECONDS_EACH)
        bucket.take()
        self._by[place] = bucket
        _forget(self._by)

    def passed(self, address: str) -> None:
        """Note that the right one was given."""
        place = _place(address)
        self._by.pop(place, None)
        self._good.pop(place, None)
        self._good[place] = None
        _forget(self._good)


def _place(address: str) -> str:
    """What counts as one address: of IPv6 a network, since one machine has a whole one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))


def _forget(known: dict[str, _Bucket] | dict[str, None]) -> None:
    while len(known) > _REMEMBERED:
        del known[next(iter(known))]

"""What the services share: data, tokens, counters, and the acts they have received."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import date
from secrets import token_hex
from typing import Any

from .data import Data
from .faults import Faults

ADMOB_SCOPES = (
    "https://www.googleapis.com/auth/admob.report",
    "https://www.googleapis.com/auth/admob.readonly",
)
STORAGE_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
PUBLISHER = "pub-8123415297019784"
CLIENT_ID = "123-sim.apps.googleusercontent.com"
VENDOR = "80012345"
ISSUER = "69a6de70-0000-47e3-e053-5b8c7c11a4d1"
KEY_ID = "2X9R4HXF34"
BUCKET = "pubsite_prod_rev_01234567890987654321"
CHANNEL = "C0123456789"


@dataclass
class Limits:
    """How much is allowed; seconds are real ones, so tests use short windows."""

    admob_requests: int = 900
    admob_seconds: float = 60.0
    admob_retry_info: bool = True
    appstore_hourly: int = 3500
    token_seconds: float = 3600.0
    slack_seconds: float = 0.0
    """The least time between two messages in a channel (about 1 at the real one); 0: none."""


@dataclass
class Grant:
    """An access token that was handed out."""

    scopes: frozenset[str]
    until: float
    revoked: bool = False


@dataclass
class World:
    """The state behind all services; its lock is held while a request is processed."""

    data: Data = field(default_factory=Data)
    limits: Limits = field(default_factory=Limits)
    faults: Faults = field(default_factory=Faults)
    available: date | None = None
    """The newest day that the stores have reports of; None: every day."""
    client_secret: str = field(default_factory=lambda: "GOCSPX-" + token_hex(12))
    refresh_token: str = field(default_factory=lambda: "1//sim-" + token_hex(16))
    slack_token: str = field(default_factory=lambda: "xoxb-sim-" + token_hex(12))
    stripe_key: str = field(default_factory=lambda: "sk_test_" + token_hex(12))
    apple_public_key: str = ""
    grants: dict[str, Grant] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=dict)
    """When each client asked AdMob, by the name that it gives itself."""
    acts: Counter[str] = field(default_factory=Counter)
    messages: list[dict[str, Any]] = field(default_factory=list)
    charges: dict[str, dict[str, Any]] = field(default_factory=dict)
    admob_recent: deque[float] = field(default_factory=deque)
    apple_recent: deque[float] = field(default_factory=deque)
    expired_before: float = 0.0
    slack_epoch: float | None = None
    """Messages are stamped from here on, so that two nights leave the same; None: by the clock."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _ts: int = 0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def act(self, key: str) -> None:
        """Count something that was done, by what it was about."""
        self.acts[key] += 1

    def expire_tokens(self) -> None:
        """Refuse every token handed out so far."""
        for grant in self.grants.values():
            grant.revoked = True
        self.expired_before = self.now()

    def grant(self, token: str, scopes: tuple[str, ...]) -> str:
        """What is wrong with a token for one of `scopes`: "unknown", "scope", or "" for nothing."""
        found = self.grants.get(token)
        if found is None or found.revoked or found.until <= self.now():
            return "unknown"
        return "" if found.scopes & set(scopes) else "scope"

    def is_there(self, day: date) -> bool:
        """Whether the stores' reports of a day are out."""
        return self.available is None or day <= self.available

    def next_ts(self) -> str:
        """A Slack timestamp: unique in its channel, and growing."""
        at = self.now() if self.slack_epoch is None else self.slack_epoch
        now = max(int(at * 1_000_000), self._ts + 1)
        self._ts = now
        return f"{now // 1_000_000}.{now % 1_000_000:06d}"

    def told(self) -> dict[str, Any]:
        """Every act that was received, for who counts from outside."""
        return {
            "calls": dict(self.calls),
            "acts": dict(self.acts),
            "messages": len(self.messages),
            "updates": sum(len(one["edits"]) for one in self.messages),
            "charges": len({one["id"] for one in self.charges.values()}),
            "faults": self.faults.told(),
        }

    def forget(self) -> None:
        """Start counting again; credentials and data stay."""
        self.calls.clear()
        self.times.clear()
        self.acts.clear()
        self.messages.clear()
        self.charges.clear()
        self.admob_recent.clear()
        self.apple_recent.clear()
        self.data.late.clear()

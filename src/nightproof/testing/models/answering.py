"""The answers: a function of the version, what the provider adds, the request and its seed."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from string import Template
from typing import Any

from nightproof.testing.models.script import Fault, Route, Script

WORDS = (
    "a quiet calm steady even plain narrow mixed mild firm slow brief early late small broad clear "
    "level week month desk market report figure change pace range trend move view line note table "
    "reading result margin signal stays holds shows keeps moves turns follows remains settles eases"
).split()
SENTENCES, LENGTH = 3, 9
VARIATIONS = 1_000_000


@dataclass(frozen=True)
class Asked:
    """A request, whatever its wire format.

    `body` is the request without its model name and seed; `text` is what it says,
    for the script's `contains`.
    """

    name: str
    body: Any
    text: str
    seed: int | None


@dataclass(frozen=True)
class Answered:
    """What a wire format has to put into its response.

    `version` answered (a test may want to know); `reported` is what the response
    says, None where it says nothing. `fallback`: another model than the name's own.
    """

    text: str
    id: str
    version: str
    reported: str | None
    fingerprint: str | None
    fallback: bool


class Refused(Exception):
    """The request gets an error; the wire format words it."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class Answerer:
    """Answers by a script; what has been drawn and refused so far is kept."""

    def __init__(self, script: Script) -> None:
        self._lock = threading.Lock()
        self._drawn: Counter[str] = Counter()
        self._refused: Counter[tuple[str, int]] = Counter()
        self._script = script

    @property
    def script(self) -> Script:
        """The script in force."""
        with self._lock:
            return self._script

    @script.setter
    def script(self, script: Script) -> None:
        # Draws go on where they were: a swap must not repeat the same sequence of samples.
        with self._lock:
            self._script = script
            self._refused.clear()

    def answer(self, asked: Asked) -> Answered:
        """The answer to one request; raises Refused."""
        with self._lock:
            script = self._script
            route = script.route(asked.name)
            if route is None:
                raise Refused(404, f"there is no model {asked.name}")
            self._fail(asked.name, route)
            self._drawn[asked.name] += 1
            count = self._drawn[asked.name]
        draws = _Draws(script.random_seed, asked.name, count)
        version, fallback = route.version or asked.name, False
        if route.fallback and draws.share("fallback") < route.fallback_rate:
            version, fallback = route.fallback, True
        honoured = asked.seed is not None and route.seed == "honoured"
        sample = 0
        if not honoured and draws.share("sampled") < route.sampling:
            sample = 1 + draws.number("sample") % VARIATIONS
        parts = [version, route.system_prompt, list(route.tools), asked.body, sample]
        parts.append(asked.seed if honoured else None)
        reported = {"version": version, "alias": asked.name, "nothing": None}[route.reports]
        return Answered(
            _text(script, asked.text, version, _digest(parts)),
            draws.digest("id").hex()[:20],
            version,
            reported,
            route.fingerprint,
            fallback,
        )

    def _fail(self, name: str, route: Route) -> None:
        for number, fault in enumerate(route.errors):
            if self._refused[name, number] < fault.times:
                self._refused[name, number] += 1
                raise _refusal(fault)


def _refusal(fault: Fault) -> Refused:
    return Refused(fault.status, fault.message or "scripted error", fault.retry_after)


class _Draws:
    """Numbers that depend on the script's seed, the name and the request's number alone."""

    def __init__(self, seed: int, name: str, count: int) -> None:
        self._start = f"{seed}\n{name}\n{count}\n"

    def digest(self, what: str) -> bytes:
        return sha256((self._start + what).encode()).digest()

    def number(self, what: str) -> int:
        return int.from_bytes(self.digest(what)[:8], "big")

    def share(self, what: str) -> float:
        """A number in [0, 1)."""
        return (self.number(what) >> 11) / 2**53


def _digest(parts: list[Any]) -> bytes:
    return sha256(json.dumps(parts, sort_keys=True).encode()).digest()


def _text(script: Script, text: str, version: str, digest: bytes) -> str:
    for scripted in script.answers:
        if scripted.contains in text:
            variant = f"{WORDS[digest[0] % len(WORDS)]}-{digest[1:5].hex()}"
            return Template(scripted.text).safe_substitute(variant=variant, version=version)
    return prose(digest)


def prose(digest: bytes) -> str:
    """Sentences without a number, decided by `digest`."""
    stream = b"".join(sha256(digest + bytes([i])).digest() for i in range(SENTENCES))
    sentences = []
    for i in range(SENTENCES):
        part = stream[32 * i : 32 * i + LENGTH]
        sentences.append(" ".join(WORDS[byte % len(WORDS)] for byte in part).capitalize() + ".")
    return " ".join(sentences)

"""What goes wrong, by script or by chance with a seed.

A fault: ``{"on": {"service": "admob", "path": "networkReport", "contains": "JP"},
"after": 36, "times": 3, "do": {"kind": "429"}}``. `on` matches requests (each part is
optional; `path` and `contains` are looked for in the path, and in query and body);
the first `after` matching requests are let through, the next `times` (default 1, null:
all) are hit. Instead of `after` and `times`, ``"rate": 0.1`` hits that share of them.

========================  ==============================================================
kind                      what happens
========================  ==============================================================
429, 429-retryinfo        quota used up, with ``"seconds"`` where the kind has RetryInfo
503, 500                  not available, before anything was done
401                       refused credentials, once or several times, for no reason
expired                   every token that was handed out so far is refused from now on
mid-stream-error          AdMob: an error inside the array, after ``"rows"`` rows
no-footer                 AdMob: the stream ends without its footer
truncated                 the connection closes in the middle of the body
wrong-data                numbers times ``"factor"``, to be corrected later
reset-before              the connection is reset before the request is processed
reset-after-processing    processed, and the connection is reset instead of an answer
unknown                   Slack: processed, and answered with ``internal_error``
drip                      the body comes slowly: over ``"seconds"``
hang                      no answer for ``"seconds"``
========================  ==============================================================
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from .http import Request

KINDS = frozenset(
    "429 429-retryinfo 503 500 401 expired mid-stream-error no-footer truncated wrong-data "
    "reset-before reset-after-processing unknown drip hang".split()
)
_PARTS = {"on", "after", "times", "rate", "do"}


@dataclass
class Fault:
    """One fault and how often it was met."""

    on: dict[str, str]
    do: dict[str, Any]
    after: int = 0
    times: int | None = 1
    rate: float | None = None
    seen: int = 0
    hit: int = 0

    def matches(self, request: Request) -> bool:
        """Whether the fault is about this request."""
        text = f"{'&'.join(f'{k}={v}' for k, v in request.query.items())} {request.body!r}"
        return (
            self.on.get("service", request.service) == request.service
            and self.on.get("path", "") in request.path
            and self.on.get("contains", "") in text
            and self.on.get("method", request.method) == request.method
        )

    def strikes(self, chance: Random) -> bool:
        """Whether it hits this matching request."""
        self.seen += 1
        if self.rate is not None:
            struck = chance.random() < self.rate
        else:
            left = self.times is None or self.hit < self.times
            struck = self.seen > self.after and left
        self.hit += struck
        return struck


@dataclass
class Faults:
    """All faults of a script."""

    faults: list[Fault] = field(default_factory=list)
    chance: Random = field(default_factory=lambda: Random(0))

    def load(self, script: Any) -> None:
        """Take a new script. Raises ValueError that says what is wrong with it."""
        if not isinstance(script, dict) or not isinstance(script.get("faults", []), list):
            raise ValueError(  # noqa: TRY004 - the input is wrong, not the caller
                'a script is {"faults": [...], "seed": 0}'
            )
        self.faults = [_fault(one) for one in script.get("faults", [])]
        self.chance = Random(script.get("seed", 0))

    def of(self, request: Request) -> dict[str, Any] | None:
        """What is to go wrong with this request; None for nothing."""
        struck = None
        for fault in self.faults:
            if fault.matches(request) and fault.strikes(self.chance) and struck is None:
                struck = fault.do
        return struck

    def told(self) -> list[dict[str, Any]]:
        """How often each was met."""
        return [
            {"on": one.on, "do": one.do, "seen": one.seen, "hit": one.hit} for one in self.faults
        ]


def _fault(given: Any) -> Fault:
    if not isinstance(given, dict) or not isinstance(given.get("do"), dict):
        raise ValueError(  # noqa: TRY004 - the same
            f'a fault is {{"on": {{}}, "do": {{"kind": "429"}}}}, not {given!r}'
        )
    unknown = set(given) - _PARTS
    if unknown:
        raise ValueError(f"a fault has no '{min(unknown)}'; known: {sorted(_PARTS)}")
    if given["do"].get("kind") not in KINDS:
        raise ValueError(f"no such fault: {given['do'].get('kind')!r}; known: {sorted(KINDS)}")
    return Fault(
        on=dict(given.get("on", {})),
        do=dict(given["do"]),
        after=int(given.get("after", 0)),
        times=given.get("times", 1),
        rate=given.get("rate"),
    )

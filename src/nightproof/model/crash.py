"""Named places in nightproof where a process can be made to die, to prove that it recovers.

Nothing happens unless the environment asks for it. Code on the way does::

    if crash.armed:
        crash.hit("step:before", "fetch_country")

``NIGHTPROOF_FAIL_AT`` says where to die (``kill -9`` of the own process)::

    fail-at  = target ":" moment [ "#" n ]      at the n-th such point, the first by default
    target   = name | name "[" key "]" | place | place " " name | place " " name "[" key "]"
    place    = step | item | effect | artifact | batch | complete
    moment   = before | mid | after | intend | act | confirm

    load:before                   before step, effect or artifact load, or an item of map load
    load:mid                      in its middle: done, and not recorded
    fetch_country[JP]:after       after the item with key JP of its map is recorded
    fetch_country:after#500       after its 500th item is recorded, whichever that is
    step load:after#2             after step load is recorded for the second time
    effect post_report:act        after the act, before its outcome is recorded
    batch:after#3                 after the third commit of a group of records
    complete:before               before the run is recorded as completed

An effect has four moments: before (nothing recorded), intend (announced, not done),
act (done, not recorded), confirm (recorded); ``mid`` is its act and ``after`` its
confirm. A step that is called like a place is written ``step step:before``.

``NIGHTPROOF_CRASH_TRACE=path`` appends one line of JSON for every point
reached: ``{"point", "detail", "n"}``, where n counts how often this process
reached that point with that detail; :func:`exactly` makes the fail-at of it.
``"lazy": true`` marks an ``after`` of a pure step, which does not wait for the disk.

``NIGHTPROOF_DRILL_LEDGER=path`` appends one line for every act of an effect, after
its function has returned and before that is recorded: ``{"effect", "key", "policy",
"idempotencyKey", "digest", "output"}``.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from nightproof.errors import ConfigError

FAIL_AT = "NIGHTPROOF_FAIL_AT"
TRACE = "NIGHTPROOF_CRASH_TRACE"
LEDGER = "NIGHTPROOF_DRILL_LEDGER"

armed = False
"""Whether `hit` does anything; looked at before every call, so that points are free."""

PLACES: dict[str, tuple[str, ...]] = {
    "step": ("before", "mid", "after"),
    "item": ("before", "mid", "after"),
    "effect": ("before", "intend", "act", "confirm"),
    "artifact": ("before", "mid", "after"),
    "batch": ("before", "after"),
    "complete": ("before", "after"),
}
"""The points of shipped code: ``place:moment``."""

_EFFECT = {"mid": "act", "after": "confirm"}
_ONLY_EFFECT = ("intend", "act", "confirm")
_MOMENTS = {moment for moments in PLACES.values() for moment in moments}
_SYNTAX = r"(?s)(?P<target>.+):(?P<moment>[^:#\]]*)(?:#(?P<n>[^:#\]]*))?"


@dataclass(frozen=True, slots=True)
class FailAt:
    """A parsed ``NIGHTPROOF_FAIL_AT``; `name` is "" where only the place counts."""

    place: str | None
    name: str
    moment: str
    n: int = 1

    def matches(self, point: str, detail: str) -> bool:
        """Whether reaching `point` with `detail` is what was meant."""
        place, _, moment = point.partition(":")
        wanted = _EFFECT.get(self.moment, self.moment) if place == "effect" else self.moment
        if moment != wanted or self.place not in {None, place}:
            return False
        if self.place is None and place == "complete":  # which carries the name of the job
            return False
        if not self.name or self.name == detail:
            return True
        return place == "item" and detail.partition("[")[0] == self.name


_target: FailAt | None = None
_trace: int | None = None
_ledger: int | None = None
_matched = 0
_reached: Counter[tuple[str, str]] = Counter()
_counting = threading.Lock()


def parse(text: str) -> FailAt:
    """The meaning of a ``NIGHTPROOF_FAIL_AT``; ConfigError where it has none."""
    found = re.fullmatch(_SYNTAX, text.strip())
    if found is None:
        raise _nonsense(text, "expected <name>:before, for instance fetch_country:before")
    moment, number = found["moment"], found["n"]
    if moment not in _MOMENTS:
        raise _nonsense(text, f"{moment!r} is not one of {', '.join(sorted(_MOMENTS))}")
    if number is not None and not (number.isascii() and number.isdigit() and int(number) > 0):
        raise _nonsense(text, f"#{number} is not a count from 1 on")
    place: str | None
    place, _, name = found["target"].partition(" ")
    if place not in PLACES:
        place, name = None, found["target"]
    name = name.strip()
    if place is None and moment in _ONLY_EFFECT:
        place = "effect"
    if place == "effect":
        moment = _EFFECT.get(moment, moment)
    if place is not None and moment not in PLACES[place]:
        raise _nonsense(text, f"{place} has only {', '.join(PLACES[place])}")
    return FailAt(place, name, moment, int(number or 1))


def exactly(point: str, detail: str, n: int) -> str:
    """The ``NIGHTPROOF_FAIL_AT`` that dies at the `n`-th time `point` is reached with `detail`."""
    place, _, moment = point.partition(":")
    target = f"{place} {detail}" if detail else place
    return f"{target}:{moment}#{n}"


def arm_from_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Arm what the environment asks for; the application does this once, at its start.

    Raises ConfigError where ``NIGHTPROOF_FAIL_AT`` makes no sense or the trace or
    the ledger cannot be written.
    """
    global armed, _target, _trace, _ledger
    disarm()
    if environ.get(FAIL_AT):
        _target = parse(environ[FAIL_AT])
    _trace = _opened(environ, TRACE)
    _ledger = _opened(environ, LEDGER)
    armed = not (_target is None and _trace is None and _ledger is None)


def _opened(environ: Mapping[str, str], variable: str) -> int | None:
    path = environ.get(variable)
    if not path:
        return None
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as exc:
        raise ConfigError(
            f"{variable}={path}: cannot be written: {exc.strerror}",
            "Name a file in a directory that exists and that this user may write.",
        ) from exc


def disarm() -> None:
    """Back to inert."""
    global armed, _target, _trace, _ledger, _matched
    for opened in (_trace, _ledger):
        if opened is not None:
            os.close(opened)
    armed, _target, _trace, _ledger, _matched = False, None, None, None, 0
    _reached.clear()


def hit(point: str, detail: str = "", *, lazy: bool = False) -> None:
    """A point is reached: trace it, and die if it is the one.

    `detail` is the name of the step, effect or artifact, with the key of an
    item in brackets; `lazy` says that what was recorded is not yet on disk.
    """
    global _matched
    with _counting:
        _reached[point, detail] += 1
        if _trace is not None:
            line = {"point": point, "detail": detail, "n": _reached[point, detail]}
            if lazy:
                line["lazy"] = True
            os.write(_trace, (json.dumps(line) + "\n").encode())
        if _target is not None and _target.matches(point, detail):
            _matched += 1
            if _matched == _target.n:
                _die()


def acted(
    effect: str,
    key: str,
    policy: str,
    idempotency_key: str,
    digest: bytes,
    output: bytes | None,
) -> None:
    """An effect's function has returned: count the act.

    `policy` is what is done about an unknown outcome ("probe" for a function),
    `digest` that of its arguments, `output` its result as JSON (None where that
    could not be made).
    """
    if _ledger is None:
        return
    line = {
        "effect": effect,
        "key": key,
        "policy": policy,
        "idempotencyKey": idempotency_key,
        "digest": digest.hex(),
        "output": None if output is None else output.decode("utf-8", "replace"),
    }
    # One write of an O_APPEND file: lines of several processes do not mix.
    os.write(_ledger, (json.dumps(line) + "\n").encode())


def _die() -> None:
    import signal

    # Not sys.exit and not abort: nothing may be flushed, closed or handled.
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)


def _nonsense(text: str, why: str) -> ConfigError:
    return ConfigError(
        f"{FAIL_AT}={text}: {why}",
        "Write <step>:before, <step>:mid or <step>:after; #2 at the end means the second time.",
    )

"""What experiments can put back to how it was: variables, files, the time, the model's name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from nightproof.blobs.protocol import Blobs
from nightproof.drift.around import Around, Side
from nightproof.drift.compare import Comparison, Divergence
from nightproof.drift.reads import STEP, Pair
from nightproof.drift.record import Point, Record
from nightproof.errors import BlobError
from nightproof.journal.protocol import Reader
from nightproof.provenance.snapshot import Snapshot, read
from nightproof.provenance.snapshot.interpreter import HIDDEN, LOCALE_CATEGORIES, surroundings
from nightproof.provenance.snapshot.numerics import VARIABLES
from nightproof.provenance.witness.reads import Read

_SESSION = ("_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "VIRTUAL_ENV")
_OURS = ("NIGHTPROOF_", "PYTHON", "LD_")
"""Variables that an experiment leaves as they are: they are part of how it is run."""
STAGED = ("tz", "hashseed", "locale/", "variable/")
"""Items of a snapshot that variables bring back."""
_RANDOM: dict[str, str | None] = {"PYTHONHASHSEED": None}
FIXED_SEED: dict[str, str | None] = {"PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Staging:
    """What an experiment's process is given in the place of how things are today.

    None as the value of a variable or file: it is not there. A file is a blob's digest,
    `clock` seconds since the epoch; `texts` are replaced in the divergent step's
    arguments; `a` names what is run A's instead of B's ("contract", "world").
    """

    variables: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    clock: float | None = None
    still: bool = False
    texts: Mapping[str, str] = field(default_factory=dict)
    a: frozenset[str] = frozenset()

    def over(self, other: Staging) -> Staging:
        """This, and where it says nothing `other`."""
        return Staging(
            {**other.variables, **self.variables},
            {**other.files, **self.files},
            other.clock if self.clock is None else self.clock,
            self.still or other.still,
            {**other.texts, **self.texts},
            self.a | other.a,
        )


@dataclass(frozen=True)
class Factor:
    """One thing that differs, the cause it stands for, and how to make it as in A.

    `b` makes it as in B where today is neither. A `weak` one is far from the point, or
    differs between most runs.
    """

    name: str
    cause: str
    a: Staging
    b: Staging | None = None
    weak: bool = False


@dataclass(frozen=True)
class Facts:
    """Everything that the planning of experiments needs to know.

    `base` makes today as B was where that is possible, `took` is how long the divergent
    step took in seconds, `untested` are causes of which something differs that cannot be
    put back. `asked` are the models that it asks, `same_request` says that they were
    asked the same in both runs and answered another thing.
    """

    base: Staging
    factors: Sequence[Factor]
    hash_random: bool
    took: float
    untested: frozenset[str]
    asked: Sequence[str]
    hosts: Sequence[str]
    same_request: bool
    idle: frozenset[str] = frozenset()
    """Packages that differ and that neither run had imported before its first step."""


async def facts(
    reader: Reader, blobs: Blobs, found: Comparison, near: Around, environ: Mapping[str, str]
) -> Facts:
    """What can be put back for the first difference of `found`; `environ` is today's."""
    inner = found.innermost
    first = inner.first
    assert first is not None
    chains = found.chains
    a, b = [
        await asyncio.to_thread(_snapshot, blobs, chain, side)
        for chain, side in zip(chains, (near.a, near.b), strict=True)
    ]
    ours, theirs = (None if one is None else _variables(one) for one in (a, b))
    factors = _surroundings(ours, theirs)
    known = {name for group in factors for name in group.a.variables}
    read_factors, unknown = await asyncio.to_thread(_reads, blobs, near.pairs, known)
    factors += read_factors
    if inner.a.run.digest != inner.b.run.digest:
        factors.append(Factor("contract", "input", Staging(a=frozenset({"contract"}))))
    if near.world:
        factors.append(Factor("times and signals", "context", Staging(a=frozenset({"world"}))))
    factors += _models(near)
    starts = [
        await _began(reader, record, point, side)
        for record, point, side in zip(
            (inner.a, inner.b), first.points, (near.a, near.b), strict=True
        )
    ]
    clocks = [Staging(clock=at) for at, _ in starts]
    factors.append(Factor("clock", "context", clocks[0], clocks[1], weak=True))
    base = await asyncio.to_thread(_base, blobs, near.b, theirs, environ)
    random = theirs is not None and theirs.get("hash seed", _RANDOM) == _RANDOM
    return Facts(
        base, factors, random, max(took for _, took in starts),
        frozenset(unknown | _unstaged(near)), sorted({call.requested for call in near.b.calls}),
        near.hosts, _same_request(near), frozenset(map(_package, _idle(near))),
    )  # fmt: skip


def goal_needs_effects(first: Divergence) -> bool:
    """Whether only performing an effect could show anything: no experiment does that."""
    return first.kind == "effect" and first.what == "output"


def _snapshot(blobs: Blobs, chain: Sequence[Record], side: Side) -> Snapshot | None:
    """The environment of the attempt that recorded a side, or of the run around it."""
    for record in reversed(chain):
        notes = [
            note
            for n, note in record.notes("snapshot")
            if n == side.attempt or record is not chain[-1]
        ]
        if notes:
            try:
                return read(blobs.get(str(notes[-1].get("items"))))
            except BlobError:
                return None
    return None


def _variables(snapshot: Snapshot) -> dict[str, dict[str, str | None]]:
    """Variables that make an environment as the snapshot has it, by what they are for."""
    strict = snapshot.strict
    found: dict[str, dict[str, str | None]] = {}
    if "tz" in strict:
        found["time zone"] = {"TZ": strict["tz"]}
    if "hashseed" in strict:
        seed = strict["hashseed"]
        found["hash seed"] = {"PYTHONHASHSEED": None if seed == "random" else seed}
    found["locale"] = _locale(strict)
    found["numerics"] = {name: snapshot.numeric.get(f"variable/{name}") for name in VARIABLES}
    for item, value in strict.items():
        if item.startswith("variable/") and value != HIDDEN:
            name = item.removeprefix("variable/")
            found[f"variable {name}"] = {name: value}
    return found


def _locale(strict: Mapping[str, str]) -> dict[str, str | None]:
    values = {name: strict.get(f"locale/{name}") for name in LOCALE_CATEGORIES}
    language = {"LANGUAGE": strict.get("locale/LANGUAGE")}
    if len(set(values.values())) == 1:
        # Not one by one: Python makes another of a lone LC_CTYPE=C.
        return {**dict.fromkeys(values), "LC_ALL": values["LC_CTYPE"], **language}
    return {**values, "LC_ALL": None, **language}


def _surroundings(
    a: dict[str, dict[str, str | None]] | None, b: dict[str, dict[str, str | None]] | None
) -> list[Factor]:
    if a is None or b is None:
        return []
    found = []
    for name in {**a, **b}:
        ours, theirs = a.get(name), b.get(name)
        if ours == theirs:
            continue
        # A variable that one side does not have was not set there.
        ours = ours if ours is not None else dict.fromkeys(theirs or ())
        theirs = theirs if theirs is not None else dict.fromkeys(ours)
        cause = "context" if name.startswith("variable ") else "environment"
        found.append(Factor(name, cause, Staging(ours), Staging(theirs)))
    return found


def _left_alone(name: str) -> bool:
    return name in _SESSION or name.startswith(_OURS)


def _reads(blobs: Blobs, pairs: Iterable[Pair], known: set[str]) -> tuple[list[Factor], set[str]]:
    """Factors of what was read, and the causes of which something cannot be put back."""
    found: list[Factor] = []
    unknown: set[str] = set()
    for pair in pairs:
        one = pair.b or pair.a
        assert one is not None
        if one.what == "variable" and (one.name in known or _left_alone(one.name)):
            continue
        staging = [_staging(blobs, one, side) for side in (pair.a, pair.b)]
        if staging[0] is None:
            if not pair.weak and one.what != "folder":
                unknown.add(pair.cause)
            continue
        found.append(Factor(pair.item, pair.cause, staging[0], staging[1], pair.weak))
    return found, unknown


def _staging(blobs: Blobs, thing: Read, side: Read | None) -> Staging | None:
    """What makes `thing` as `side` found it; None where that is not known."""
    if thing.what == "variable":
        if side is None:
            return None
        value = _value(blobs, side)
        return None if value is _UNKNOWN else Staging(variables={thing.name: value})
    if thing.what != "file":
        return None
    if side is None or (side.digest is None and side.size is None):
        return Staging(files={thing.name: None})
    if side.kept is None or not blobs.exists(side.kept):
        return None
    return Staging(files={thing.name: side.kept})


_UNKNOWN = "\0unknown"


def _value(blobs: Blobs, one: Read) -> str | None:
    """The value of a variable that was read; None where it was not set."""
    if one.digest is None and one.size is None:
        return None
    try:
        return blobs.get(one.kept).decode() if one.kept else _UNKNOWN
    except (BlobError, UnicodeDecodeError):
        return _UNKNOWN


def _base(
    blobs: Blobs,
    side: Side,
    recorded: dict[str, dict[str, str | None]] | None,
    environ: Mapping[str, str],
) -> Staging:
    """What makes today as it was for B: only what is another thing today."""
    variables: dict[str, str | None] = {}
    today = surroundings(environ, [])
    for name, group in (recorded or {}).items():
        if name == "time zone" and group["TZ"] == today["tz"]:
            continue
        if name == "locale" and group == _locale(today):
            continue
        if any(environ.get(key) != value for key, value in group.items()):
            variables |= group
    files: dict[str, str | None] = {}
    for one in [one for reads in side.reads.values() for one in reads]:
        if one.what == "variable" and one.name not in variables and not _left_alone(one.name):
            value = _value(blobs, one)
            if value is not _UNKNOWN and environ.get(one.name) != value:
                variables[one.name] = value
        elif one.what == "file" and one.kept and one.digest != _digest(one.name):
            files |= {one.name: one.kept} if blobs.exists(one.kept) else {}
    return Staging(variables, files)


def _digest(path: str) -> str | None:
    try:
        return "sha256:" + sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


async def _began(
    reader: Reader, record: Record, point: Point | None, side: Side
) -> tuple[float, float]:
    """When the work on a point began (seconds since the epoch), and how long it took."""
    if point is None:
        starts = record.starts[: side.attempt] or [record.run.created]
        return starts[-1] / 1000, 0.0
    entries = await reader.entries(record.run.id, (), point.seq - 1, 1)
    took = entries[0].took / 1e6 if entries and entries[0].seq == point.seq else 0.0
    return point.at / 1000 - took, took


def _models(near: Around) -> list[Factor]:
    """Asking for A's version by its own name, where an alias stood for another one in B."""
    texts = {}
    served = {call.requested: call.reported for call in near.b.calls}
    for call in near.a.calls:
        other = served.get(call.requested)
        if call.reported and other and call.reported not in (other, call.requested):
            texts[call.requested] = call.reported
    told = ", ".join(f"{old} as {new}" for old, new in texts.items())
    return [Factor(f"model {told}", "model", Staging(texts=texts))] if texts else []


def _same_request(near: Around) -> bool:
    """Whether the models were asked the same and answered another thing."""
    a, b = (
        {call.request_digest: call.response_digest for call in side.calls if call.request_digest}
        for side in (near.a, near.b)
    )
    shared = a.keys() & b.keys()
    return bool(shared) and any(a[request] != b[request] for request in shared)


def _unstaged(near: Around) -> set[str]:
    """Causes of which something differs that no variable can bring back."""
    rest = [one for one in near.environment.strict if not one.item.startswith(STAGED)]
    found = set()
    if any(one.item.startswith("code/") for one in rest):
        found.add("code")
    idle = _idle(near)
    if any(not one.item.startswith("code/") and one.item not in idle for one in rest):
        found.add("environment")
    numeric = [one.item for one in near.environment.numeric]
    if numeric and not any(item.startswith("variable/") for item in numeric):
        found.add("environment")
    if any(pair.cause == "context" and pair.near == STEP and _is_host(pair) for pair in near.pairs):
        found.add("context")
    return found


def _idle(near: Around) -> set[str]:
    """Items of packages that only the step itself can have imported, today as well as then.

    What is no longer there cannot be imported any more: nothing is known of it.
    """
    return {
        one.item
        for one in near.environment.strict
        if one.item in near.environment.idle and one.b is not None
    }


def _package(item: str) -> str:
    return item.split("/")[1]


def _is_host(pair: Pair) -> bool:
    known = pair.a or pair.b
    return known is not None and known.what == "host"


def held_still(base: Staging, clock: float) -> Staging:
    """`base` with a clock that does not go on."""
    return replace(base, clock=clock, still=True)

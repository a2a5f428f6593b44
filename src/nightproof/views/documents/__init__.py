"""The JSON documents of commands (``--json``) and of the API: one function makes both.

A document is a dataclass; :func:`plain` gives its JSON form, with camelCase keys that stay
stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, cast

from nightproof import views
from nightproof.blobs.protocol import Blobs
from nightproof.config import Settings
from nightproof.contract.secrets import HIDDEN, redact, secret_field
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunFilter, RunRow
from nightproof.provenance.snapshot import Snapshot
from nightproof.views import (
    ItemView,
    Line,
    QuotaView,
    RunSummary,
)
from nightproof.views.environment import DifferenceView, compared
from nightproof.views.environment import environment as snapshot_of
from nightproof.views.environment import workers as workers_of
from nightproof.views.listing import RunPage, listed
from nightproof.views.notes import SnapshotDigests
from nightproof.views.watch import WatchView, watch
from nightproof.views.witness import WitnessView
from nightproof.views.witness import witness as witness_of


def plain(value: Any) -> Any:
    """A document as JSON data: fields in camelCase; keys of mappings are data and stay.

    JSON has no word for NaN and the infinities: they are None. What looks like a secret is
    hidden.
    """
    if isinstance(value, str):
        return redact(value) if type(value) is str else value
    if is_dataclass(value) and not isinstance(value, type):
        return {key: plain(getattr(value, name)) for name, key in _keys(type(value))}
    if isinstance(value, Mapping):
        return {
            redact(key) if isinstance(key, str) else key: HIDDEN
            if isinstance(item, str) and secret_field(str(key), item)
            else plain(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


@lru_cache
def _keys(shape: Any) -> list[tuple[str, str]]:
    return [(field.name, camel(field.name)) for field in fields(shape)]


def camel(name: str) -> str:
    """A field's name as it is in documents."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


async def runs(reader: Reader, want: RunFilter, standing: str = "") -> RunPage:
    """``runs --json``; `standing` as :func:`nightproof.views.listing.listed` has it."""
    return await listed(reader, want, standing)


@dataclass(frozen=True, slots=True)
class Run(RunSummary):
    """Everything that is known of one run, but for its single steps."""

    watch: WatchView


async def run(reader: Reader, row: RunRow, settings: Settings) -> Run:
    """``show RUN --json``."""
    doing = await watch(reader, row, stall=settings.stall, lease=settings.lease)
    found = await views.summary(reader, row)
    known = {field.name: getattr(found, field.name) for field in fields(found)}
    return Run(**known, watch=doing)


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps, items, effects and child runs on record, in the order recorded."""

    run: str
    steps: list[ItemView]
    next: int | None
    """What to give as `after` for more; null at the end."""


async def steps(
    reader: Reader,
    row: RunRow,
    *,
    step: str | None = None,
    failed: bool = False,
    after: int = -1,
    limit: int = 50,
) -> Steps:
    """``steps RUN --json``."""
    page = await views.items(reader, row, step=step, failed=failed, after=after, limit=limit)
    return Steps(row.name, page.items, page.next)


@dataclass(frozen=True, slots=True)
class Log:
    """The last lines of a run's log, oldest first."""

    run: str
    log: list[Line]
    earlier: int
    """How many lines there are before them."""


async def log(reader: Reader, row: RunRow, *, steps: bool, limit: int) -> Log:
    """``logs RUN --json``."""
    lines = await views.timeline(reader, row, steps=steps)
    earlier = max(0, len(lines) - limit)
    return Log(row.name, lines[earlier:], earlier)


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment of a run's last attempt, or of this process; items are texts by name.

    `strict` must match anywhere for results to be the same, `numeric` for the last digits of
    floating-point results; `host` is never compared.
    """

    run: str | None
    digests: dict[Literal["strict", "numeric", "host"], str]
    """Of the canonical JSON of `strict`, `numeric` and `host`, as ``sha256:<hex>``."""
    snapshot: int
    """The version of this form."""
    strict: dict[str, str]
    numeric: dict[str, str]
    host: dict[str, str]
    workers: dict[str, SnapshotDigests]
    """The digests of each worker's, where several worked on the attempt."""


def environment_of(
    name: str | None, found: Snapshot, workers: dict[str, SnapshotDigests]
) -> Environment:
    """``env show --json``; `name` is None for this process."""
    return Environment(name, cast("Any", found.digests), **found.document(), workers=workers)


async def environment(reader: Reader, blobs: Blobs, row: RunRow) -> Environment:
    """``env show RUN --json``. Raises NotFound and BlobError as the view does."""
    found = await snapshot_of(reader, blobs, row)
    return environment_of(row.name, found, await workers_of(reader, row))


@dataclass(frozen=True, slots=True)
class Differs:
    """Whether two environments differ in what must match, and in numerics."""

    strict: bool
    numeric: bool


@dataclass(frozen=True, slots=True)
class EnvironmentDiff:
    """What differs between two environments."""

    a: str
    b: str
    differs: Differs
    items: list[DifferenceView]


def environment_diff(a: str, b: str, items: list[DifferenceView]) -> EnvironmentDiff:
    """``env diff A B --json``."""
    parts = {one.part for one in items}
    return EnvironmentDiff(a, b, Differs("strict" in parts, "numeric" in parts), items)


async def environments(reader: Reader, blobs: Blobs, a: RunRow, b: RunRow) -> EnvironmentDiff:
    """The same for two runs. Raises NotFound and BlobError as the view does."""
    one, other = await snapshot_of(reader, blobs, a), await snapshot_of(reader, blobs, b)
    return environment_diff(a.name, b.name, compared(one, other))


async def reads(reader: Reader, blobs: Blobs, row: RunRow, *, every: bool) -> WitnessView:
    """``env reads RUN --json``: what nothing declares, or with `every` everything."""
    found = await witness_of(reader, blobs, row)
    if every:
        return found
    shown = [read for read in found.reads if read.undeclared]
    return WitnessView(
        found.run, found.levels, found.undeclared, shown, found.settings, found.blind
    )


@dataclass(frozen=True, slots=True)
class Quotas:
    """Every quota that was ever used, as it is now."""

    quotas: list[QuotaView]


async def quotas(reader: Reader) -> Quotas:
    """``quotas --json``."""
    return Quotas(await views.quotas(reader))

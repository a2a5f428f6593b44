"""``nightproof doctor``: the server of the journal, the blobs, and who has the file open."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nightproof import app
from nightproof.config import Settings
from nightproof.errors import NightproofError, NotFound
from nightproof.stores.objects import ObjectBlobs

FAR_SECONDS = 0.02
"""A round trip longer than this is felt: every durable step waits for one."""
SKEW_SECONDS = 2.0
"""Clocks that differ by more show in what is told of runs."""
BLOBS_SKEW_SECONDS = 600.0
"""Clocks of blobs may differ by hours; by more than this something is wrong."""
_COUNTED = 100_000


class Found(NamedTuple):
    """One line, as doctor's own: `state` is "ok", "look" or "problem"."""

    what: str
    state: str
    text: str


def in_one_line(error: NightproofError) -> str:
    """An error and what to do about it."""
    return " ".join(f"{error.message}. {error.hint}".split()).removesuffix(" .")


def server(settings: Settings) -> Iterator[Found]:
    """What is to be said of the journal's server; nothing for a file.

    Raises NotFound where there is no journal in it yet, and NightproofError for a server
    that cannot be used.
    """
    found = app.examine_server(settings)
    if found is None:
        return
    text = f"{found.version}, round trip {found.round_trip * 1000:.2f} ms"
    if found.round_trip > FAR_SECONDS:
        yield Found("server", "look", f"{text}: every durable step waits for one or two of these")
    else:
        yield Found("server", "ok", text)
    if found.pooled:
        text = "a pooler is in the way: that works, but wake-ups are polled for every second"
        yield Found("pooler", "look", text)
    yield from _skew("clock", "the database's", found.ahead, SKEW_SECONDS)
    for risk in found.risks:
        yield Found("risk", "look", f"on the server {risk}: its crash may cost checkpoints")
    if not found.journal:
        raise NotFound("there is no journal in this database yet", "The first run writes it.")


def _skew(what: str, whose: str, ahead: float, limit: float) -> Iterator[Found]:
    if abs(ahead) <= limit:
        return
    way = "ahead of" if ahead > 0 else "behind"
    text = f"the clock here is {abs(ahead):.0f} s {way} {whose}: let both follow NTP"
    yield Found(what, "look", text)


def blobs(settings: Settings) -> Iterator[Found]:
    """Whether blobs can be written, read and deleted, and how many there are."""
    try:
        opened = app.open_blobs(settings)
        where = ""
        if isinstance(opened, ObjectBlobs):
            took, ahead = opened.probe()
            where = f" in {opened.address.shown}, round trip {took * 1000:.1f} ms"
            yield from _skew("blobs", "the object store's", ahead, BLOBS_SKEW_SECONDS)
        count = size = 0
        for info in islice(opened.iterate(), _COUNTED):
            count, size = count + 1, size + info.size
        more = " or more" if count == _COUNTED else ""
        yield Found("blobs", "ok", f"{count}{more} blobs, {size:,} bytes{where}")
    except NightproofError as error:
        yield Found("blobs", "problem", in_one_line(error))


def copies(settings: Settings) -> Iterator[Found]:
    """Processes that have the journal's file open with two copies of SQLite at once.

    Each copy opens the shared index (``-shm``) once, so two of it in one process tell.
    """
    file = app.places(settings.store).file
    if file is None:
        return
    index = os.path.realpath(f"{file}-shm")
    for process in Path("/proc").glob("[0-9]*"):
        opened: Counter[str] = Counter()
        with suppress(OSError):
            for handle in (process / "fd").iterdir():
                with suppress(OSError):
                    opened[str(handle.readlink())] += 1
        if opened[index] > 1:
            text = (
                f"process {process.name} has opened the journal with a second copy of SQLite "
                "(Python's sqlite3?): closing it drops the file's locks. Let another process read"
            )
            yield Found("sqlite", "problem", text)

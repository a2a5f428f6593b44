"""Whole documents of long runs are made in a thread of their own, so that pages do not wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from nightproof import app
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind
from nightproof.views.documents import plain
from nightproof.web.site import Site

LONG = 5000
"""A run with more events, waits, artifacts and effects than that is long; results do not count."""
_ONE = ThreadPoolExecutor(1, "api")
_TOLD = (Kind.EVENT, Kind.WAIT, Kind.SIGNAL, Kind.ARTIFACT, Kind.FAILURE, Kind.EFFECT)

Make = Callable[[Reader], Awaitable[Any]]


class Written(NamedTuple):
    """A document as it is sent."""

    body: bytes


def written(document: Any) -> Written:
    """A document as JSON."""
    told = plain(document)
    try:
        return Written(json.dumps(told, ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError:  # half a character, in what somebody has recorded
        return Written(json.dumps(told, allow_nan=False).encode())


async def aside(site: Site, row: RunRow, make: Make) -> Any:
    """What `make` makes of a run: here where it is short, elsewhere and written where it is not."""
    if not await _long(site.journal, row):
        return await make(site.journal)

    async def there() -> Written:
        return written(await make(app.open_reader(site.settings)))

    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_ONE, lambda: asyncio.run(there()))


async def _long(reader: Reader, row: RunRow) -> bool:
    told = await reader.entries(row.id, _TOLD, skip=LONG, limit=1)
    return bool(told)

"""Searching the store, also by a file: which run delivered it?"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from nightproof.views.runs import word
from nightproof.views.search import DIGESTS, by_field, digests, search, sought
from nightproof.web.rendering import page, url
from nightproof.web.site import site_of

MOST_BYTES = 2 << 30
READ_BYTES = 1 << 20
"""A file that is no larger is read too: it may be a manifest, or a list of digests."""
AT_A_TIME = 4
_LONGEST_NAME = 300
_PIECE = 1 << 20


class _Refused(Exception):
    """A file that is not taken: the status and why."""


class Taken(NamedTuple):
    """A file that was hashed; `data` is its content where it is short."""

    sha256: str
    size: int
    data: bytes | None


async def find(request: Request) -> Response:
    """The search, and what it has found."""
    asked = request.query_params
    query, after = asked.get("q", ""), asked.get("after", "")
    found = await search(site_of(request).journal, query, after)
    name = asked.get("file", "")[:_LONGEST_NAME]
    return page(
        request, "search.html", word=word, query=query, found=found, file=name, again=bool(after), by_field=by_field(query),
        next=url("/search", q=query, after=found.next) if found.next else None,
        sought=sought(query),
    )  # fmt: skip


async def take(request: Request) -> Response:
    """Hash what is sent, keep nothing of it, and say where its search is."""
    state = request.app.state
    under_way = getattr(state, "files_under_way", 0)
    if under_way >= AT_A_TIME:
        return _told(503, "other files are being hashed: try again in a moment")
    state.files_under_way = under_way + 1
    try:
        taken = await hashed(request.stream())
    except ClientDisconnect:
        return _told(400, "the file did not arrive")
    except _Refused as why:
        return _told(413, str(why))
    finally:
        state.files_under_way -= 1
    listed = [] if taken.data is None else mentioned(taken.data)
    wanted = list(dict.fromkeys([taken.sha256, *listed]))[:DIGESTS]
    name = unquote(request.headers.get("x-file-name", ""), errors="replace")[:_LONGEST_NAME]
    where = url("/search", q=" ".join(wanted), file=name)
    return JSONResponse({"sha256": taken.sha256, "size": taken.size, "href": where})


async def hashed(stream: AsyncIterator[bytes]) -> Taken:
    """Hash a stream in pieces, away from the event loop."""
    digest, size, kept = sha256(), 0, bytearray()
    waiting: list[bytes] = []
    held = 0
    async for chunk in stream:
        size += len(chunk)
        if size > MOST_BYTES:
            raise _Refused("the file is larger than 2 GiB: paste what `sha256sum` says of it")
        if size <= READ_BYTES:
            kept += chunk
        waiting.append(chunk)
        held += len(chunk)
        if held >= _PIECE:
            await asyncio.to_thread(digest.update, b"".join(waiting))
            waiting, held = [], 0
    digest.update(b"".join(waiting))
    return Taken(digest.hexdigest(), size, bytes(kept) if size <= READ_BYTES else None)


def mentioned(data: bytes) -> list[str]:
    """The digests that a file is about: the subjects of a manifest, the lines of sha256sum."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return []
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        lines = text.split("\n")
        listed = [line for line in lines if line.strip()]
        sums = [digests(line[:67]) for line in listed[:1000]]
        return [one[0] for one in sums if one] if sums and all(sums) else []
    return _subjects(document)


def _subjects(document: Any) -> list[str]:
    if not isinstance(document, dict):
        return []
    payload = document.get("payload")
    if isinstance(payload, str):
        try:
            document = json.loads(base64.b64decode(payload, validate=True))
        except (binascii.Error, ValueError, RecursionError):
            return []
    subjects = document.get("subject") if isinstance(document, dict) else None
    found = []
    for one in subjects if isinstance(subjects, list) else []:
        known = one.get("digest") if isinstance(one, dict) else None
        told = known.get("sha256") if isinstance(known, dict) else None
        found += digests(told) if isinstance(told, str) else []
    return found


def _told(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)


routes: list[BaseRoute] = [
    Route("/search", find),
    Route("/search/file", take, methods=["POST"]),
]

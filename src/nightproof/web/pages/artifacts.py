"""What a run delivered: the list, one file with its preview, the file itself.

The bytes of an artifact may mean harm, and never get the rights of this site. They are shown
only where their sha256 is the recorded one; HTML and SVG stand in a frame without scripts,
forms, navigation and network; a file itself is always downloaded.
"""

from __future__ import annotations

import asyncio
import base64
import shlex
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from nightproof.errors import NotFound
from nightproof.journal.records import RunRow
from nightproof.views import artifacts as views
from nightproof.views import delivered, open_run, view, word
from nightproof.web import previews
from nightproof.web.comparing import comparisons
from nightproof.web.images import picture
from nightproof.web.rendering import clean, page, param, url
from nightproof.web.site import Site, site_of

PAGE = 100
AT_ONCE = 3
"""So many files are read at a time."""
LARGEST_BLOB = 256 << 20
"""Bytes of a file that is downloaded out of the blob store: it is in memory as a whole."""
POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
"""Of a frame. Its sandbox makes it a foreign site to this one; nothing runs, nothing is fetched."""
FILE_POLICY = (
    "sandbox; default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-dns-prefetch-control": "off",
}
_FRAMED_SVG = (
    "<!doctype html><meta charset=utf-8><title>Picture</title>"
    "<style>body{{margin:0}}img{{max-width:100%;height:auto}}</style>"
    '<img alt="" src="data:image/svg+xml;base64,{}">'
)


async def listed(request: Request) -> Response:
    """``/runs/R/artifacts``."""
    site = site_of(request)
    row = await open_run(site.journal, param(request, "run"))
    skip = whole_number(request.query_params.get("skip", ""))
    found = await views.artifacts(site.journal, row, skip, PAGE)
    return page(
        request, "run_artifacts.html", run=view(row), word=word(view(row)), found=found,
        command=_command(row),
    )  # fmt: skip


async def verified(request: Request) -> Response:
    """``/runs/R/artifacts/check``: all files with their manifests and the journal."""
    row = await open_run(site_of(request).journal, param(request, "run"))
    answer = await comparisons(request).verify(row)
    return page(
        request, "run_check.html", run=view(row), word=word(view(row)), answer=answer,
        found=answer.document, command=_command(row),
    )  # fmt: skip


async def shown(request: Request) -> Response:
    """``/runs/R/artifacts/N``: a preview, and what is known of the file.

    With ``?compare=1`` the bytes of a large file too are compared with its digest.
    """
    site = site_of(request)
    if request.query_params.get("compare") == "1":
        async with _gate(request, "downloads"):
            row, one = await _one(request, delivered.LARGEST)
    else:
        row, one = await _one(request)
    data, trouble = None, ""
    found = previews.Preview("none", [f"It is larger than {previews.LARGEST >> 20} MiB."])
    if (one.size or 0) <= previews.LARGEST:
        async with _gate(request):
            try:
                data = await _content(site, one)
            except delivered.Undelivered as error:
                trouble = _trouble(one, error)
            if data is not None:
                found = await asyncio.to_thread(
                    previews.preview, one.name, one.media_type, data, one.sha256
                )
            manifest = await views.manifest(site.journal, row, one, data)
    else:
        manifest = await views.manifest(site.journal, row, one, None)
        if one.state != delivered.THERE and (one.blob is None or (one.size or 0) > LARGEST_BLOB):
            trouble = _trouble(one, None)
    return page(
        request, "run_artifact.html", run=view(row), word=word(view(row)), one=one,
        preview=found if data is not None or not trouble else None, trouble=trouble,
        manifest=manifest, command=_command(row),
        verified=data is not None or (one.compared and one.state == delivered.THERE),
    )  # fmt: skip


async def framed(request: Request) -> Response:
    """``/runs/R/artifacts/N/sandbox``: what a frame or a picture of the preview shows."""
    # On its own it could pass for a page of this site to whoever only sees the address.
    if request.headers.get("sec-fetch-dest") in ("document", "object", "embed"):
        name, n = param(request, "run"), request.path_params["n"]
        return RedirectResponse(url("/runs/{}/artifacts/{}", name, n), 303)
    _, one = await _one(request)
    async with _gate(request):
        data = await _content(site_of(request), one)
        kind = previews.kind_of(one.name, one.media_type, data)
    found = picture(data[:65536]) or picture(data) if kind == "picture" else None
    if found is not None and found.shown:
        return _answer(data, found.media_type, POLICY)
    content: bytes | None = None
    if len(data) <= previews.LARGEST_FRAME:
        if kind == "html":
            content = await asyncio.to_thread(previews.framed, data)
        elif kind == "svg":
            # As a picture an SVG cannot run, ask, lead anywhere or be clicked, frame or not.
            content = _FRAMED_SVG.format(base64.b64encode(data).decode()).encode()
    if content is None:
        raise NotFound("this file is not shown in a frame", "It can be downloaded.")
    return _answer(content, "text/html; charset=utf-8", POLICY)


async def file(request: Request) -> Response:
    """``/runs/R/artifacts/N/file``: the file itself, always as a download."""
    _, one = await _one(request)
    headers = {
        **_ALWAYS,
        "content-security-policy": FILE_POLICY,
        "x-frame-options": "DENY",
        "content-disposition": disposition(one.name),
    }
    if one.size is not None:
        headers["content-length"] = str(one.size)
    reading = delivered.pieces(one.path, one.sha256, one.size)
    async with _gate(request, "downloads"):
        try:
            # The first piece comes when the whole has been read and found to be what it should be.
            first = await asyncio.to_thread(next, reading)
        except delivered.Undelivered:
            if one.blob is None:
                raise
            blobs = site_of(request).blobs
            data = await asyncio.to_thread(
                delivered.kept, blobs, one.blob, one.sha256, one.size, LARGEST_BLOB
            )
            return Response(data, headers=headers, media_type="application/octet-stream")
    if request.method == "HEAD":
        reading.close()
        return Response(headers=headers, media_type="application/octet-stream")
    return StreamingResponse(
        _streamed(first, reading), headers=headers, media_type="application/octet-stream"
    )


async def _streamed(first: bytes, rest: Generator[bytes]) -> AsyncIterator[bytes]:
    """A download that does not end as it should is broken off, not completed."""
    with closing(rest):
        yield first
        while (piece := await asyncio.to_thread(next, rest, None)) is not None:
            yield piece


def whole_number(text: str) -> int:
    """A number of a query; 0 for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0


def disposition(name: str) -> str:
    """A download under the last part of a name: no folder, nothing hidden, no other ending."""
    last = clean(PurePosixPath(name.replace("\\", "/")).name).replace("\ufffd", "_")
    last = "".join("_" if mark in '"/\\:*?<>|%\r\n\t' else mark for mark in last).strip(". ")
    last = (last.encode("utf-8", "replace").decode() or "artifact")[-120:]
    plain = last.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(last, safe='')}"


def _command(row: RunRow) -> str:
    behind = ["--"] if row.name.startswith("-") else []
    return shlex.join(["nightproof", "verify", *behind, row.name])


async def _one(request: Request, most: int = 0) -> tuple[RunRow, views.ArtifactView]:
    journal = site_of(request).journal
    row = await open_run(journal, param(request, "run"))
    given = str(request.path_params["n"])
    if not (given.isascii() and given.isdecimal()) or len(given) > 18:
        raise NotFound(f"run {row.name} has no such artifact", "Its page lists what it delivered.")
    return row, await views.artifact(journal, row, int(given), most)


async def _content(site: Site, one: views.ArtifactView) -> bytes:
    """The bytes of an artifact: from its place, or from where all machines find them."""
    most = previews.LARGEST
    try:
        return await asyncio.to_thread(delivered.content, one.path, one.sha256, one.size, most)
    except delivered.Undelivered:
        if one.blob is None:
            raise
    return await asyncio.to_thread(delivered.kept, site.blobs, one.blob, one.sha256, one.size, most)


def _trouble(one: views.ArtifactView, error: delivered.Undelivered | None) -> str:
    if one.state == "replaced":
        return "The run delivered another file under this name later; these bytes are gone."
    if error is not None:
        return f"{error.message}. {error.hint}"
    return "This file is not (any more) on this machine as the run delivered it."


def _answer(data: bytes, media_type: str, policy: str) -> Response:
    headers = {**_ALWAYS, "content-security-policy": policy, "content-type": media_type}
    return Response(data, headers=headers)


def _gate(request: Request, name: str = "previews") -> asyncio.Semaphore:
    """So many files are read at a time; a long download does not hold up the previews."""
    state = request.app.state
    if not hasattr(state, name):
        setattr(state, name, asyncio.Semaphore(AT_ONCE))
    found: asyncio.Semaphore = getattr(state, name)
    return found


routes: list[BaseRoute] = [
    Route("/runs/{run}/artifacts/check", verified),
    Route("/runs/{run}/artifacts", listed),
    Route("/runs/{run}/artifacts/{n}", shown),
    Route("/runs/{run}/artifacts/{n}/file", file),
    Route("/runs/{run}/artifacts/{n}/sandbox", framed),
]

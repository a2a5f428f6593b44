"""What a run delivered: each file as recorded, and what is there of it on this machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from nightproof.errors import NotFound
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.states import Kind
from nightproof.provenance.manifest.making import announced, manifest_of
from nightproof.views import delivered, verdicts
from nightproof.views.values import Time, iso, parsed

LISTED = 20_000
"""Of so many deliveries of a run each is known; a run that has more shows the first."""
LARGEST_MANIFEST = 256 << 10
"""Bytes; a larger manifest is checked by the command only."""
COMPARED = 4 << 20
"""Bytes of a file that is compared with its digest whenever it is listed."""
COMPARED_TOGETHER = 32 << 20
"""And of all files of a list together, but for those that are known to be the same as before."""
_LAST = 2**62
_DIGESTS = delivered.Digests()


@dataclass(frozen=True, slots=True)
class ArtifactView:
    """A file that a run delivered; `n` is its sequence number in the run's history.

    `state` is what lies at `path` on this machine: there, changed, gone, or replaced where the
    run itself delivered another file there later. `compared` says that its sha256 was worked
    out, and not only its size looked at. `manifest` is where its manifest was written, None
    where it has none. `blob` is the digest under which an engine of several machines keeps its
    bytes for all of them.
    """

    n: int
    name: str
    path: str
    sha256: str
    size: int | None
    media_type: str | None
    at: Time | None
    manifest: str | None
    state: Literal["there", "changed", "gone", "replaced"]
    blob: str | None = None
    compared: bool = False


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    """Some artifacts in the order of their delivery, out of `total` behind `skip`."""

    items: list[ArtifactView]
    total: int
    skip: int
    next: int | None
    """The `skip` for more, None at the end."""


@dataclass(frozen=True, slots=True)
class ManifestView:
    """What a manifest is found to be; `signature` is verified, unchecked, refused or none.

    `state` is sound, wrong (`problems` say what is), gone, unchecked (it is large) or none.
    """

    state: Literal["sound", "wrong", "gone", "unchecked", "none"]
    path: str | None = None
    signature: verdicts.Signature | None = None
    keyid: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Recorded:
    views: list[ArtifactView]
    said: dict[str, Any] | None


async def artifacts(reader: Reader, row: RunRow, skip: int = 0, limit: int = 100) -> ArtifactPage:
    """What a run delivered."""
    found = (await _recorded(reader, row)).views
    items = found[skip : skip + limit]
    more = skip + len(items)
    shown = await asyncio.to_thread(_all_looked_at, items)
    return ArtifactPage(shown, len(found), skip, more if more < len(found) else None)


async def artifact(reader: Reader, row: RunRow, n: int, most: int = COMPARED) -> ArtifactView:
    """One artifact of a run, compared with its digest if it has at most `most` bytes.

    Raises NotFound.
    """
    # One entry is read, whatever else the run delivered.
    entries = await reader.entries(row.id, (Kind.ARTIFACT,), n - 1, 1) if n <= _LAST else []
    views = [_view(one.seq, one.at, parsed(one.output)) for one in entries if one.seq == n]
    known = [view for view in views if view is not None]
    if not known:
        raise NotFound(
            f"run {row.name} has no artifact {n}", f"`nightproof show {row.name}` lists them."
        )
    found = await _recorded(reader, row)
    by_number = {one.n: one for one in found.views}
    return await asyncio.to_thread(_looked_at, by_number.get(n, known[0]), most)


async def files(reader: Reader, row: RunRow) -> str:
    """Something that is another once a delivered file, or a manifest, has been touched."""
    found = (await _recorded(reader, row)).views
    paths = [path for one in found for path in (one.path, one.manifest) if path is not None]
    return await asyncio.to_thread(delivered.touched, paths)


async def manifest(
    reader: Reader, row: RunRow, one: ArtifactView, content: bytes | None
) -> ManifestView:
    """What an artifact's manifest is found to be, without its list of steps.

    `content` are the artifact's bytes where they are at hand.
    """
    if one.manifest is None:
        return ManifestView("none")
    found = await _recorded(reader, row)
    return await asyncio.to_thread(_checked, one, content, found.said or {})


def _checked(one: ArtifactView, content: bytes | None, said: dict[str, Any]) -> ManifestView:
    assert one.manifest is not None
    try:
        with delivered.regular(one.manifest) as descriptor:
            data = delivered.beginning(descriptor, LARGEST_MANIFEST + 1)
    except delivered.Undelivered as error:
        return ManifestView("gone", one.manifest, problems=(error.reason,))
    if len(data) > LARGEST_MANIFEST:
        return ManifestView("unchecked", one.manifest)
    verdict = verdicts.Verdict(Path(one.path), Path(one.manifest))
    verdicts.against(verdict, data, content, said, None, None)
    problems = tuple(f"{p.where}: {p.message}" if p.where else p.message for p in verdict.problems)
    checked = verdict.checked
    return ManifestView(
        "wrong" if problems else "sound",
        one.manifest,
        cast("verdicts.Signature", checked.signature) if checked else None,
        (checked.keyid or None) if checked else None,
        problems,
    )


async def _recorded(reader: Reader, row: RunRow) -> _Recorded:
    entries = await reader.entries(row.id, (Kind.ARTIFACT,), limit=LISTED)
    views = [_view(entry.seq, entry.at, parsed(entry.output)) for entry in entries]
    found = [view for view in views if view is not None]
    # They are written when everything has been delivered.
    said = await announced(reader, row.id, entries[-1].seq) if entries else None
    last = {one.path: one.n for one in found}
    taken = set(last)
    whole = [
        replace(one, manifest=manifest_of(one.path, one.sha256, said, taken))
        if last[one.path] == one.n
        else replace(one, state="replaced")
        for one in found
    ]
    return _Recorded(whole, said)


def _view(n: int, at: int, note: Any) -> ArtifactView | None:
    if not isinstance(note, dict) or not note.get("path") or not note.get("sha256"):
        return None
    size, media, blob = note.get("size"), note.get("mediaType"), note.get("blob")
    return ArtifactView(
        n=n,
        name=str(note.get("name") or note["path"]),
        path=str(note["path"]),
        sha256=str(note["sha256"]),
        size=size if isinstance(size, int) else None,
        media_type=media if isinstance(media, str) else None,
        at=iso(at),
        manifest=None,
        state="there",
        blob=blob if isinstance(blob, str) else None,
    )


def _all_looked_at(found: list[ArtifactView]) -> list[ArtifactView]:
    shown, left = [], COMPARED_TOGETHER
    for one in found:
        cost = _DIGESTS.cost(one.path)
        shown.append(_looked_at(one, min(left, COMPARED)))
        left -= cost if shown[-1].compared else 0
    return shown


def _looked_at(one: ArtifactView, most: int) -> ArtifactView:
    if one.state == "replaced":
        return one
    state = _DIGESTS.compare(one.path, one.sha256, one.size, most)
    if state is None:
        return replace(one, state=delivered.glance(one.path, one.size))
    return replace(one, state=state, compared=state != delivered.GONE)

"""From what was heard to reads: what was there, what declares it, what is kept of it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from nightproof.model import clock
from nightproof.provenance import looking
from nightproof.provenance.hearing import Heard, Sound
from nightproof.provenance.looking import SMALL, Sight
from nightproof.provenance.snapshot.interpreter import HIDDEN, shown
from nightproof.provenance.witness.reads import HARMLESS, WITHHELD, Read
from nightproof.provenance.witness.rules import Rules

KEPT_BYTES = 8 * 1024 * 1024
KEPT_COUNT = 100
KEPT_SECONDS = 1.0
"""So much of what an attempt reads undeclared is kept, so that it can be put back.

Every blob is forced to disk: who reads very many files does not wait for all of them."""
LARGEST = 1 << 30
"""Files larger than this are not hashed."""
BREATH_EVERY = 16
BREATH_SECONDS = 0.0002
"""After so many files the interpreter goes to the steps for a moment."""

# Bounded and anchored: a megabyte without a blank must not take for ever.
_PAIR = re.compile(r"""(?<![\w.-])([\w.-]{1,80})["']?\s{0,8}[:=]\s{0,8}["']?([^\s"',]{6,200})""")
_WHERE = re.compile(r"(HOME|TZ|LANG|LANGUAGE|LC_.*|XDG_.*)$")
"""Harmless variables that lead to other files and answers, and are kept as well."""
_NUMBER = re.compile(r"[-+\d.eE_]+")
_PRIVATE = re.compile(
    r"(^|/)(\.ssh|\.aws|\.gnupg|\.kube|\.docker|\.azure|gcloud)/|(^|/)(\.netrc|\.pgpass|\.npmrc"
    r"|\.pypirc|\.git-credentials|\.env[^/]*|id_[a-z0-9]+)$|\.(pem|key|p12|pfx|jks|kdbx|asc|gpg)$"
)


class Settler:
    """Turns what was heard of one attempt into reads.

    `put` keeps a content and gives its digest; None where nothing is to be kept.
    """

    def __init__(self, rules: Rules, put: Callable[[bytes], str] | None) -> None:
        self.rules = rules
        self._put = put
        self._left = KEPT_BYTES
        self._kept: dict[str, str] = {}
        self._keeping = 0.0
        self._sights: dict[str, tuple[tuple[int, ...], Sight]] = {}

    def reads(
        self, sounds: Iterable[Sound], hears: list[Heard], *, until: float, polite: bool
    ) -> list[Read]:
        """The reads behind `sounds`, noise left out; blocks.

        After `until` (of ``clock.monotonic``) files are not hashed any more.
        """
        found = []
        for count, sound in enumerate(sounds):
            if polite and not count % BREATH_EVERY:
                clock.block(BREATH_SECONDS)
            largest = LARGEST if clock.monotonic() < until else 0
            read = self.read(sound, hears, largest)
            if read is not None:
                found.append(read)
        return found

    def read(self, sound: Sound, hears: list[Heard], largest: int = LARGEST) -> Read | None:
        """One read; None where it is noise."""
        by = self.rules.reader(sound.by)
        base = Read(sound.what, sound.name, sound.step, sound.fp.hex(), by=by)
        if sound.what in ("file", "folder"):
            return self._file(base, hears, largest)
        if sound.what in ("variable", "copied"):
            return self._variable(base, sound.value)
        if sound.what == "host":
            return base._replace(declared=self.rules.host(sound.name))
        return self._program(base)

    def _file(self, read: Read, hears: list[Heard], largest: int) -> Read | None:
        path = os.path.normpath(read.name)
        if self.rules.file(path, None) is None:
            return None
        sight = self._sight(read.name, read.what == "folder", hears, largest)
        declared = self.rules.file(path, sight.digest)
        if declared is None:
            return None
        kept = None
        if not declared and sight.content is not None:
            kept = self._keep(sight.digest, sight.content, path)
        return read._replace(
            name=readable(path), digest=sight.digest, size=sight.size, declared=declared, kept=kept
        )

    def _sight(self, name: str, folder: bool, hears: list[Heard], largest: int) -> Sight:
        mark = name.rstrip("/") + "/" if folder else name
        state = _state(name)
        known = self._sights.get(mark)
        early = next((one.early[mark] for one in hears if mark in one.early), None)
        if early is None:
            if known is not None and known[0] == state:
                return known[1]
            sight = looking.folder(name) if folder else looking.file(name, largest)
            # What was seen before a change that came in between is what was read.
            early = next((one.early[mark] for one in hears if mark in one.early), sight)
        for one in hears:
            one.unsettled.discard(mark)
            one.early.pop(mark, None)
        self._sights[mark] = state, early._replace(content=None)
        return early

    def _variable(self, read: Read, value: str | None) -> Read:
        copied = read.what == "copied"
        read = read._replace(what="variable", declared=self.rules.variable(read.name, copied))
        if value is None:
            return read
        if shown(read.name, value) == HIDDEN:
            return read._replace(digest=WITHHELD)
        sight = looking.text(value)
        kept = None
        wanted = not read.declared or (read.declared == HARMLESS and _WHERE.match(read.name))
        if wanted and sight.content is not None:
            kept = self._keep(sight.digest, sight.content)
        return read._replace(
            name=readable(read.name), digest=sight.digest, size=sight.size, kept=kept
        )

    def _program(self, read: Read) -> Read:
        path = shutil.which(read.name)
        if path is None:
            return read._replace(declared=self.rules.program(read.name))
        path = str(Path(path).absolute())
        sight = self._sight(path, False, [], LARGEST)
        return read._replace(
            name=readable(path),
            digest=sight.digest,
            size=sight.size,
            declared=self.rules.program(path),
        )

    def _keep(self, digest: str | None, content: bytes, path: str = "") -> str | None:
        """The blob with a content; None where it is private, or enough is kept."""
        if digest is None or self._put is None:
            return None
        if digest not in self._kept:
            many = len(self._kept) >= KEPT_COUNT or self._keeping > KEPT_SECONDS
            if many or len(content) > min(self._left, SMALL) or (path and private(path, content)):
                return None
            self._left -= len(content)
            started = clock.monotonic()
            self._kept[digest] = self._put(content)
            self._keeping += clock.monotonic() - started
        return self._kept[digest]


def private(path: str, content: bytes) -> bool:
    """Whether a file looks like one that holds a secret: by its name, or what is in it."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", path.rpartition("/")[2])
    if _PRIVATE.search(path) or shown(name, "") == HIDDEN:
        return True
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    if shown("", text.strip()) == HIDDEN:
        return True
    return any(
        shown(key, "") == HIDDEN and not _NUMBER.fullmatch(value)
        for key, value in _PAIR.findall(text)
    )


def readable(name: str) -> str:
    """A name that may hold bytes that are no text, as text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _state(path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

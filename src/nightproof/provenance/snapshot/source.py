"""Digests of source that no RECORD describes: the job's own code, editable installs."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.machinery import PathFinder
from pathlib import Path

from nightproof.provenance.snapshot.breath import Breathe, held

MAX_FILES = 2000
MAX_BYTES = 32 * 1024 * 1024
"""More own code than this is cut off, in the order of its names, and said to be."""
CUT = "code/…"

_CODE = (".py", ".so", ".pyd")
SITE = frozenset({"site-packages", "dist-packages"})
_LIBRARY = str(Path(os.__file__).parent)
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\w[\w.]*)[ \t]+import\b|import[ \t]+(\w[\w., \t]*))", re.MULTILINE
)


def root_of(file: str) -> str:
    """The folder whose code belongs to `file`: its top-level package, or the folder it is in.

    Empty where there is no such file, or where it was installed as part of a
    distribution, whose own digest covers it.
    """
    path = Path(file).absolute()
    if not path.is_file() or not SITE.isdisjoint(path.parts):
        return ""
    folder = path.parent
    while (folder / "__init__.py").is_file() and (folder.parent / "__init__.py").is_file():
        folder = folder.parent
    return str(folder)


class Source:
    """Source files as items; of what they import the names are kept where they are `followed`."""

    def __init__(self, breathe: Breathe = held, followed: bool = True) -> None:
        self._breathe = breathe
        self._followed = followed
        self._bases: dict[str, str] = {}
        self.items: dict[str, str] = {}
        self.imports: set[str] = set()
        self._seen: set[str] = set()
        self._size = 0

    def add(self, file: str, base: str) -> None:
        """Take a file as ``code/<path below base>``, once."""
        file = os.path.realpath(file)
        if file in self._seen or CUT in self.items:
            return
        self._seen.add(file)
        self._breathe()
        if len(self.items) >= MAX_FILES or self._size > MAX_BYTES:
            self.items[CUT] = "more files, not looked at"
            return
        try:
            with open(file, "rb") as source:
                data = source.read(MAX_BYTES)
        except OSError:
            return
        self._size += len(data)
        if base not in self._bases:
            self._bases[base] = os.path.realpath(base)
        name = os.path.relpath(file, self._bases[base]).replace(os.sep, "/")
        item = f"code/{name}"
        # Two files of one name: the second is imported from another folder on the path.
        self.items[f"code/+/{name}" if item in self.items else item] = (
            "sha256:" + sha256(data).hexdigest()
        )
        if self._followed and file.endswith(".py"):
            self.imports.update(top_names(data))


def own_code(root: str, covered: Iterable[str] = (), breathe: Breathe = held) -> dict[str, str]:
    """``{"code/<path below root>": "sha256:<hex>"}`` for the job's own source.

    These are the files in the folder `root` and in the packages below it, and what
    they import from other folders that hold no installed packages; `covered` are such
    as have a digest of their own. Paths are relative to `root`, or to the folder on
    the path, so that another place does not count.

    What is imported is read off the statements: what is loaded depends on the moment.
    """
    source = Source(breathe)
    if not root:
        return source.items
    for file in files_of(root):
        source.add(file, root)
    installed = tuple(f"{os.path.realpath(one)}/" for one in (_LIBRARY, *covered))
    looked_up: set[str] = set()
    while names := sorted(source.imports - looked_up):
        looked_up.update(names)
        for name in names:
            for place in _places(name, installed):
                files = files_of(place) if Path(place).is_dir() else [place]
                for file in files:
                    source.add(file, str(Path(place).parent))
    return source.items


def top_names(source: bytes) -> Iterator[str]:
    """The first names of what a file imports absolutely, the standard library left out."""
    for found in _IMPORT.finditer(source):
        given = found.group(1) or found.group(2)
        for part in given.decode("utf-8", "replace").split(","):
            name = part.strip().partition(" ")[0].partition(".")[0]
            if name and name not in sys.stdlib_module_names:
                yield name


def _places(name: str, installed: tuple[str, ...]) -> list[str]:
    """The module file or the package folders of a top-level name that are own code."""
    try:
        spec = PathFinder.find_spec(name)
    except (ImportError, ValueError, OSError):
        return []
    if spec is None:
        return []
    folders = spec.submodule_search_locations
    places = [spec.origin or ""] if folders is None else list(folders)
    return [
        place
        for place in places
        if os.path.exists(place)
        and SITE.isdisjoint(Path(place).parts)
        and not f"{os.path.realpath(place)}/".startswith(installed)
    ]


def files_of(folder: str) -> Iterator[str]:
    """The source files of a folder and of the packages below it, by name."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(_CODE) and entry.is_file():
            yield entry.path
        elif Path(entry.path, "__init__.py").is_file() and not entry.is_symlink():
            yield from files_of(entry.path)


def editable_source(folder: str) -> str:
    """The folder with the source of an editable install; empty for any other.

    `folder` is its ``.dist-info``, whose direct_url.json says where the source is.
    """
    try:
        with open(f"{folder}/direct_url.json", "rb") as file:
            text = file.read()
    except OSError:
        return ""
    if b"editable" not in text:
        return ""
    import json

    try:
        known = json.loads(text)
        url, editable = str(known["url"]), known["dir_info"]["editable"]
    except (ValueError, KeyError, TypeError):
        return ""
    if not editable or not url.startswith("file://"):
        return ""
    from urllib.parse import unquote

    project = Path(unquote(url.removeprefix("file://")))
    src = project / "src"
    return str(src if src.is_dir() else project)


def editable_digest(folder: str, breathe: Breathe = held) -> str:
    """``editable sha256:<hex>`` over the source in the folder of an editable install."""
    source = Source(breathe, followed=False)
    for file in files_of(folder):
        source.add(file, folder)
    hasher = sha256()
    for item, digest in source.items.items():
        hasher.update(f"{item} {digest}\n".encode("utf-8", "surrogateescape"))
    return "editable sha256:" + hasher.hexdigest()

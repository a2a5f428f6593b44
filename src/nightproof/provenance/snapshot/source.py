"""Digests of source that no RECORD describes: the job's own code, editable installs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from nightproof.model import clock

BREATH_SECONDS = 0.0001
"""Between two files the interpreter goes to the steps, which the snapshot runs beside."""
MAX_FILES = 2000
MAX_BYTES = 32 * 1024 * 1024
"""More own code than this is cut off, in the order of its names, and said to be."""

_CODE = (".py", ".so", ".pyd")
_SITE = frozenset({"site-packages", "dist-packages"})


def root_of(file: str) -> str:
    """The folder whose code belongs to `file`: its top-level package, or the folder it is in.

    Empty where there is no such file, or where it was installed as part of a
    distribution, whose own digest covers it.
    """
    path = Path(file).absolute()
    if not path.is_file() or not _SITE.isdisjoint(path.parts):
        return ""
    folder = path.parent
    while (folder / "__init__.py").is_file() and (folder.parent / "__init__.py").is_file():
        folder = folder.parent
    return str(folder)


def own_code(root: str) -> dict[str, str]:
    """``{"code/<path below root>": "sha256:<hex>"}`` for the source files of `root`.

    These are the files in the folder and in the packages below it; paths are
    relative to `root`, so that another place does not count.
    """
    found: dict[str, str] = {}
    size = 0
    for file in _files(root) if root else ():
        clock.block(BREATH_SECONDS)
        if len(found) >= MAX_FILES or size > MAX_BYTES:
            found["code/…"] = "more files, not looked at"
            break
        try:
            with open(file, "rb") as source:
                data = source.read(MAX_BYTES)
        except OSError:
            continue
        size += len(data)
        name = os.path.relpath(file, root).replace(os.sep, "/")
        found[f"code/{name}"] = "sha256:" + sha256(data).hexdigest()
    return found


def _files(folder: str) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.endswith(_CODE) and entry.is_file():
            yield entry.path
        elif Path(entry.path, "__init__.py").is_file() and not entry.is_symlink():
            yield from _files(entry.path)


def editable_digest(folder: str) -> str:
    """``editable sha256:<hex>`` over the source of an editable install; empty for any other.

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
    hasher = sha256()
    for item, digest in own_code(str(src if src.is_dir() else project)).items():
        hasher.update(f"{item} {digest}\n".encode("utf-8", "surrogateescape"))
    return "editable sha256:" + hasher.hexdigest()

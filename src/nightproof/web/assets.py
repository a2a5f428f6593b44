"""The files beside the pages: their addresses change with their content."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from importlib.resources import files


@lru_cache
def asset(name: str) -> str:
    """The address of a file in ``static``: browsers may keep what it answers for good."""
    content = files("nightproof.web").joinpath("static", name).read_bytes()
    return f"/static/{name}?v={sha256(content).hexdigest()[:12]}"

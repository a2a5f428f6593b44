"""A snapshot as it is kept: three digests and the items behind each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nightproof.errors import BlobError
from nightproof.model.canonical import canonical, digest

VERSION = 1


@dataclass(frozen=True)
class Snapshot:
    """The environment of a process; items are texts by name.

    `strict` must match anywhere for results to be the same, `numeric` for the last
    digits of floating-point results, `host` is recorded and never compared.
    """

    strict: dict[str, str]
    numeric: dict[str, str]
    host: dict[str, str]

    @cached_property
    def digests(self) -> dict[str, str]:
        """``sha256:<hex>`` of the canonical JSON of each part's items."""
        return {
            "strict": digest(self.strict),
            "numeric": digest(self.numeric),
            "host": digest(self.host),
        }

    @cached_property
    def data(self) -> bytes:
        """The items as canonical JSON, the same bytes for the same environment."""
        return canonical(self.document())

    def document(self) -> dict[str, Any]:
        """The items as JSON data."""
        parts = {"strict": self.strict, "numeric": self.numeric, "host": self.host}
        return {"snapshot": VERSION, **parts}


def read(data: bytes) -> Snapshot:
    """A snapshot from its kept form. Raises BlobError where it is none that is known here."""
    try:
        found = json.loads(data)
        version, parts = found["snapshot"], [found[name] for name in ("strict", "numeric", "host")]
    except (ValueError, KeyError, TypeError):
        raise BlobError("the kept environment is not a snapshot") from None
    if version != VERSION or not all(isinstance(part, dict) for part in parts):
        raise BlobError(
            f"the kept environment is a snapshot of version {version!r}, this reads {VERSION}",
            "Use the nightproof that recorded the run, or a newer one.",
        )
    return Snapshot(*parts)

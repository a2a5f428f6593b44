"""Text that somebody else wrote, as it is shown: neither secrets nor codes for a terminal."""

from __future__ import annotations

import re

from nightproof.contract.secrets import redact

_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def legible(text: str) -> str:
    """`text` without secrets and terminal codes; what hides or turns around text becomes ``�``."""
    return redact(uncoded(text))


def uncoded(text: str) -> str:
    """`text` without terminal codes."""
    return _UNSEEN.sub("\ufffd", _CODES.sub("", text))

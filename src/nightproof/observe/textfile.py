"""Metrics of runs that no server scrapes: a textfile that node_exporter reads.

Source: github.com/prometheus/node_exporter, textfile collector: ``*.prom`` in one
folder, each replaced in one step, so that half of one is never read.
"""

from __future__ import annotations

import os
from pathlib import Path

from nightproof.errors import ConfigError
from nightproof.model import clock


def write(path: Path, text: str) -> None:
    """Replace the file in one step. Raises ConfigError where that cannot be done."""
    if path.suffix != ".prom":
        raise ConfigError(
            f"textfile: {path} does not end in .prom",
            "node_exporter reads nothing else in its textfile folder.",
        )
    # The other name has another ending: node_exporter must not read it.
    draft = path.with_name(f".{path.name}.{os.getpid()}-{clock.token_hex(4)}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(
            f"textfile: {path} cannot be written: {error.strerror}",
            "Correct `textfile` in the settings, or make its folder writable.",
        ) from None

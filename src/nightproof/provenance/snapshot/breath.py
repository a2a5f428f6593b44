"""Between two files a snapshot may let others go first: whoever takes it says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Breathe: TypeAlias = Callable[[], None]
"""Called between two files."""


def held() -> None:
    """For who waits for the snapshot, and does nothing meanwhile."""

"""The pytest plugin's fixtures under the name of this room.

The plugin itself is the module `nightproof_pytest`, outside this package: pytest
imports it at every start, and to import anything in here is to import nightproof.
"""

from nightproof_pytest import (
    Drill,
    Golden,
    Reproducer,
    assert_reproducible,
    drill,
    fake_clock,
    golden,
    memory_store,
)

__all__ = [
    "Drill",
    "Golden",
    "Reproducer",
    "assert_reproducible",
    "drill",
    "fake_clock",
    "golden",
    "memory_store",
]

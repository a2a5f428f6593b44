"""The pytest plugin's fixtures under the name of this room.

The plugin itself is the module `nightproof_pytest`, outside this package: pytest
imports it at every start, and to import anything in here is to import nightproof.
"""

from nightproof_pytest import Drill, drill, fake_clock, memory_store

__all__ = ["Drill", "drill", "fake_clock", "memory_store"]

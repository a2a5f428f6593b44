"""The same random numbers for the same step of the same contract.

While a step runs, the module-level functions of ``random`` draw from a generator of
its own, seeded from the run's identity and the step's fingerprint. That holds in
threads and among concurrent items, because the generator is found through the
context. numpy's and torch's global generators are process-wide; where one of them is
loaded it is seeded when a step begins, which is exact for steps that do not overlap.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any

SEED_BYTES = 8


def run_seed(job: str, contract_digest: str) -> bytes:
    """The seed of a run. Replicates share it: they must be able to agree."""
    return sha256(f"{job}\0{contract_digest}".encode()).digest()


def step_seed(seed: bytes, fingerprint: bytes) -> bytes:
    """The seed of one step or item: 64 bits."""
    return sha256(seed + fingerprint).digest()[:SEED_BYTES]


_C_FUNCTIONS = ("random", "getrandbits")
_global = random._inst  # noqa: SLF001 - the generator behind the module's functions
_installed = False
_adopted: set[int] = set()


def install(generator: Callable[[], Any]) -> None:
    """Route the module-level functions of ``random`` through `generator`.

    `generator` returns the step's own ``Random``, or None outside a step. Names
    that were imported before (``from random import shuffle``) are routed as well.
    """
    global _installed
    if _installed:
        return
    _installed = True

    class Routed(random.Random):
        """The global generator, or the one of the step that draws."""

        def random(self) -> float:
            own = generator()
            return float(_plain_random() if own is None else own.random())

        def getrandbits(self, k: int, /) -> int:
            own = generator()
            return int(_plain_bits(k) if own is None else own.getrandbits(k))

        def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
            own = generator()
            return float(_plain_gauss(mu, sigma) if own is None else own.gauss(mu, sigma))

        def seed(self, *args: Any, **kwargs: Any) -> None:
            own = generator()
            (_plain_seed if own is None else own.seed)(*args, **kwargs)

        def getstate(self) -> tuple[Any, ...]:
            own = generator()
            state: tuple[Any, ...] = _plain_getstate() if own is None else own.getstate()
            return state

        def setstate(self, state: tuple[Any, ...]) -> None:
            own = generator()
            (_plain_setstate if own is None else own.setstate)(state)

    _plain_random, _plain_bits = _global.random, _global.getrandbits
    _plain_gauss, _plain_seed = _global.gauss, _global.seed
    _plain_getstate, _plain_setstate = _global.getstate, _global.setstate
    _global.__class__ = Routed
    for name in (*_C_FUNCTIONS, "gauss", "seed", "getstate", "setstate"):
        setattr(random, name, getattr(_global, name))


def adopt(namespace: dict[str, Any]) -> None:
    """Route ``from random import random`` in a user's module as well.

    Those are functions written in C that are bound to the global generator, so
    only the name can be replaced.
    """
    if id(namespace) in _adopted:
        return
    _adopted.add(id(namespace))
    for name, value in list(namespace.items()):
        owner = getattr(value, "__self__", None)
        if owner is _global and getattr(value, "__name__", "") in _C_FUNCTIONS:
            namespace[name] = getattr(random, value.__name__)


def seed_loaded_libraries(seed: bytes) -> None:
    """Seed the global generators of numpy and torch, where they are loaded."""
    modules = sys.modules
    if (numpy := modules.get("numpy")) is not None and hasattr(numpy, "random"):
        # numpy loads its generator at the first use, which may lie inside of the step.
        numpy.random.seed(int.from_bytes(seed[:4], "big"))
    if (torch := modules.get("torch")) is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(int.from_bytes(seed, "big") >> 1)

"""Containers that refuse to change, so that a contract is frozen all the way down.

A frozen pydantic model still hands out its lists; one ``append`` in a job would
leave the run with a digest that no longer describes it. The containers here
stay lists and dicts (annotations, JSON and ``isinstance`` hold) and fail at the
line that tries to change them.
"""

from __future__ import annotations

import copy
from typing import Any, NoReturn

from nightproof.errors import MisuseError


def _refuse(self: object, *_args: object, **_kwargs: object) -> NoReturn:
    kind = "list" if isinstance(self, list) else "dict"
    raise MisuseError(
        f"this {kind} belongs to a contract, and a contract does not change",
        f"Work on a copy: {kind}(value). For another contract: "
        "contract.model_copy(update={...}), which has its own digest.",
    )


class FrozenList(list[Any]):
    """A list in a contract. Copies of it are ordinary lists."""

    __slots__ = ()

    append = clear = extend = insert = pop = remove = reverse = sort = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [copy.deepcopy(item, memo) for item in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenList, (list(self),)


class FrozenDict(dict[Any, Any]):
    """A dict in a contract. Copies of it are ordinary dicts."""

    __slots__ = ()

    clear = pop = popitem = setdefault = update = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return {key: copy.deepcopy(item, memo) for key, item in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

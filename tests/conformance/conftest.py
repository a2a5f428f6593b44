"""Finds the combinations of engine and store, and runs every test of the suite on each."""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))  # also where worker processes find `conforming`

from conforming import world  # noqa: E402 - needs the line above
from conforming.combination import Combination  # noqa: E402 - the same


def _found() -> dict[str, type[Combination]]:
    """The combinations by name: the classes in ``combinations/*.py``."""
    found: dict[str, type[Combination]] = {}
    for path in sorted((HERE / "combinations").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"combination_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for each in vars(module).values():
            own = isinstance(each, type) and each.__module__ == module.__name__
            if own and issubclass(each, Combination):
                found[each.name] = each
    return found


COMBINATIONS = _found()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a combination keeps for `make drill`."""
    for item in items:
        name = getattr(item, "callspec", None) and item.callspec.params.get("combination")  # type: ignore[attr-defined]
        if name in COMBINATIONS:
            plain = item.name.replace(f"[{name}]", "").replace(f"[{name}-", "[")
            known = (plain, plain.partition("[")[0])
            if any(fnmatchcase(n, p) for n in known for p in COMBINATIONS[name].drills):
                item.add_marker(pytest.mark.drill)


@pytest.fixture(scope="session", params=list(COMBINATIONS))
def combination(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Combination]:
    """Each combination, started."""
    folder = tmp_path_factory.mktemp(request.param)
    made = COMBINATIONS[request.param](folder, request.getfixturevalue)
    places = folder / "world"
    places.mkdir()
    before = os.environ.get(world.WORLD)
    os.environ[world.WORLD] = made.environ[world.WORLD] = str(places)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        os.environ.pop(world.WORLD)
        if before is not None:
            os.environ[world.WORLD] = before


@pytest.fixture
def night(combination: Combination, request: pytest.FixtureRequest) -> Combination:
    """The combination; where it cannot hold what the test says, the test must fail."""
    why = combination.differs.get(request.node.originalname)
    if why is not None:
        request.applymarker(pytest.mark.xfail(reason=why, strict=True))
    return combination


_numbers = itertools.count(1)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Callable[..., world.Case]:
    """Contracts of a case of the test's own: one run for each job and each set of fields."""
    name = f"{request.node.originalname.removeprefix('test_')[:60]}-{next(_numbers)}"

    def make(**fields: Any) -> world.Case:
        return world.Case(case=name, **fields)

    return make


@pytest.fixture
def diary(case: Callable[..., world.Case]) -> Callable[[], list[str]]:
    """What the case's steps and effects have really done so far, line by line."""
    return lambda: world.diary(case().case)


@pytest.fixture
def switch(case: Callable[..., world.Case]) -> Callable[[str], None]:
    """Switch something on for the case's steps."""
    return lambda name: world.switch_on(case().case, name)

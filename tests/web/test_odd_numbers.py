"""Measures that are no numbers, or too large for one: pages, documents and commands bear them."""

from pathlib import Path
from typing import Any

import pytest
from api_client import asked, at, shape_of
from web_house import command

from nightproof import config
from nightproof.cli.main import main

JOB = """
from typing import Literal
from nightproof import Contract, job, measure
class One(Contract):
    task: Literal['one'] = 'one'
    n: int = 0
@job
async def one(contract: One) -> int:
    measure('rows', 5)
    measure('mean', float('nan') if contract.n else 3.0)
    measure('ratio', float('inf') if contract.n > 1 else -float('inf'))
    measure('token cost', float('nan'))
    measure('huge', 10**400)
    return 1
"""


@pytest.fixture(scope="module")
def odd(serving: Any, tmp_path_factory: Any) -> Any:
    """A dashboard on five nights of it."""
    place: Path = tmp_path_factory.mktemp("numbers")
    (place / "jobs.py").write_text(JOB)
    for n in range(5):
        told = command(place, "run", "jobs.py:one", "-", given={"task": "one", "n": n})
        assert told["exit"] == 0, told["said"]

    class House:
        folder = place
        runs = {"last": told["run"]}  # noqa: RUF012
        store = f"sqlite:///{place}/.nightproof/journal.db"

        def settings(self) -> config.Settings:
            return config.Settings(store=self.store)

    return serving(House())


@pytest.mark.parametrize("part", ["", "/cost", "/log", "/history"])
def test_documents_are_as_described(odd: Any, part: str):
    """What is no finite number is null, where that is allowed."""
    found = asked(odd, at("/runs/{run}", run=odd.house.runs["last"]) + part)
    shape_of("/runs/{run}" + part).validate(found)
    if not part:
        assert found["measures"] == {
            "rows": 5, "mean": None, "ratio": None, "token cost": None, "huge": None
        }  # fmt: skip
        medians = {one["name"]: one["median"] for one in found["watch"]["outputs"]}
        assert medians == {"rows": 5, "mean": 3, "ratio": None, "token cost": None, "huge": None}


@pytest.mark.parametrize("path", ["/", "/runs/{run}", "/runs/{run}/cost", "/jobs/one", "/metrics"])
def test_pages_show_what_there_is(odd: Any, path: str):
    """None fails."""
    assert odd.get(path.replace("{run}", odd.house.runs["last"])).status_code == 200


def test_show_shows_it(odd: Any, capsys: Any):
    """For people: as what it is."""
    assert main(["show", odd.house.runs["last"], "--store", odd.house.store]) == 0
    assert "measure   mean = nan  (median of 4 nights: 3)" in capsys.readouterr().out

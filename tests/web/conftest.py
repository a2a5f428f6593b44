"""A house (a store with real runs) and a dashboard on it."""

import fcntl
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from nightproof.web.dashboard import Dashboard

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from act_visitor import Visitor  # noqa: E402 - needs the lines above
from web_client import TOKEN, Start  # noqa: E402 - the same
from web_house import House, build  # noqa: E402 - the same


@dataclass
class Running:
    """A dashboard that answers at `url`; `said` is what it complained about."""

    url: str
    house: House
    said: list[str] = field(default_factory=list)

    def get(self, path: str, **how: Any) -> httpx2.Response:
        """The answer to a GET, redirects not followed."""
        return httpx2.get(self.url + path, timeout=30, **how)


def _built(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The house, built once for all workers of a test session."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen-") else base
    with (base / "house.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, names = base / "house", base / "house.json"
        if not names.exists():
            names.write_text(json.dumps(build(folder)))
        return House(folder, json.loads(names.read_text()))


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The house for tests that only look at it."""
    return _built(tmp_path_factory)


@pytest.fixture
def own_house(house: House, tmp_path: Path) -> House:
    """A copy of the house for a test that changes it."""
    shutil.copytree(house.folder, tmp_path / "house")
    return House(tmp_path / "house", house.runs)


class Servers:
    """Starts dashboards, and ends them."""

    def __init__(self) -> None:
        self._started: list[tuple[Path, Dashboard]] = []

    def __call__(self, house: House, **settings: Any) -> Running:
        """A dashboard on a house."""
        running = Running("", house)
        made = Dashboard(house.settings(**settings), running.said.append)
        self._started.append((house.folder, made))
        running.url = f"http://127.0.0.1:{made.start('127.0.0.1', 0)}"
        return running

    def end(self, below: Path) -> None:
        """Stop those whose houses are in this folder."""
        for one in [one for one in self._started if one[0].is_relative_to(below)]:
            self._started.remove(one)
            one[1].stop()


@pytest.fixture(scope="session")
def serving() -> Iterator[Servers]:
    """Starts dashboards; they end with their test, those that tests share with the session."""
    made = Servers()
    yield made
    made.end(Path("/"))


@pytest.fixture(autouse=True)
def _ended(request: pytest.FixtureRequest) -> Iterator[None]:
    """A dashboard on a test's own folder ends with the test: each is a thread that looks around."""
    if not {"serving", "tmp_path"} <= set(request.fixturenames):
        yield
        return
    servers, folder = map(request.getfixturevalue, ("serving", "tmp_path"))
    yield
    servers.end(folder)


@pytest.fixture(scope="session")
def dashboard(house: House, serving: Callable[..., Running]) -> Running:
    """A dashboard on the house."""
    return serving(house)


@pytest.fixture
def start(house: Any) -> Iterator[Start]:
    """Starts dashboards that may have a token; gives their URL."""
    started: list[Dashboard] = []

    def begin(token: str = TOKEN, said: list[str] | None = None, **settings: Any) -> str:
        say = (said if said is not None else []).append
        made = Dashboard(house.settings(**settings), say, token=token)
        started.append(made)
        return f"http://127.0.0.1:{made.start('127.0.0.1', 0)}"

    yield begin
    for made in started:
        made.stop()


@pytest.fixture
def locked(start: Start) -> str:
    """The URL of a dashboard that has a token."""
    return start()


@pytest.fixture
def client() -> Iterator[Callable[[str], httpx2.Client]]:
    """Makes what is like a browser: it keeps cookies, and follows nothing."""
    made: list[httpx2.Client] = []

    def make(url: str) -> httpx2.Client:
        made.append(httpx2.Client(base_url=url, timeout=30))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def visitor(
    own_house: House, serving: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visitor]:
    """A visitor of a dashboard on a house of its own, and in it."""
    monkeypatch.chdir(own_house.folder)
    with sqlite3.connect(own_house.folder / ".nightproof" / "journal.db") as db:
        db.execute(
            "UPDATE run SET target = ? || substr(target, instr(target, '/jobs.py'))",
            (str(own_house.folder),),
        )
    db.close()
    running = serving(own_house)
    made = Visitor(running.url, own_house.folder)
    yield made
    made.client.close()


@pytest.fixture
def runs(own_house: House) -> dict[str, str]:
    """The names of the house's runs."""
    return own_house.runs

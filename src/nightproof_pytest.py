"""The pytest plugin: fixtures for tests of jobs.

`assert_reproducible` runs a job several times and insists on one result, `golden`
compares with files that were kept (``--update-golden`` writes them), `drill` kills a
job at every crash point and compares, `fake_clock` makes sleeps take no time,
`memory_store` gives a test a store of its own. nightproof itself is imported when a
test asks for one of them, so that pytest starts as fast as without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nightproof.contract import Contract
    from nightproof.durable.job import Job
    from nightproof.testing.fake import FakeClock
    from nightproof.testing.outside import Surround
    from nightproof.testing.report import Report
    from nightproof.testing.reproducing import Reproduced

_WRITTEN = "golden file written"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.getgroup("nightproof").addoption(
        "--update-golden",
        action="store_true",
        help="Write golden files that are missing or differ, instead of failing.",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which golden files were written: a person has to look at them."""
    # The reports know it, which with pytest-xdist come from other processes.
    reports = (report for some in terminalreporter.stats.values() for report in some)
    noted = (each for report in reports for each in getattr(report, "user_properties", ()))
    for path in sorted({path for name, path in noted if name == _WRITTEN}):
        terminalreporter.write_line(f"{_WRITTEN}: {path}")


class Drill:
    """What the fixture `drill` gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contracts = 0

    def __call__(
        self,
        target: str | Path | Job[Any, Any],
        contract: str | Path | dict[str, Any] | Contract,
        *,
        check: bool = True,
        environ: dict[str, str] | None = None,
        cwd: str | Path | None = None,
        everything: bool = False,
        points: tuple[str, ...] | list[str] = (),
        limit: int | None = None,
        seed: int | None = None,
        parallel: int = 2,
        timeout: float | None = None,
        outside: Surround | None = None,
    ) -> Report:
        """Kill `target` (a job, or ``file.py:job``) at its crash points and compare.

        `contract` is a Contract, its JSON data, or a path. `everything` tries every
        item instead of the first, the middle and the last; `points` only those that
        fit a pattern (``effect:*``, ``load:before``); `limit` at most so many.
        `environ` is added to the environment of the processes (``{dir}`` stands for
        a folder of each case's own), `cwd` is their working folder; `outside` makes the
        server or database that each case acts on (see :mod:`nightproof.testing.outside`).
        Fails the test where something differs, unless `check` is false.
        """
        from nightproof.testing.drill import Options, drill
        from nightproof.testing.outside import nowhere
        from nightproof.testing.report import table

        name = target if isinstance(target, str | Path) else target.target
        report = drill(
            str(name),
            self._contract_file(contract),
            Options(
                everything=everything,
                points=tuple(points),
                limit=limit,
                seed=seed,
                parallel=parallel,
                timeout=timeout,
                folder=str(self._folder),
            ),
            environ=environ,
            cwd=str(cwd) if cwd is not None else None,
            outside=outside or nowhere,
        )
        if check and not report.ok:
            pytest.fail(f"the drill of {name} found differences\n{table(report)}", pytrace=False)
        return report

    def _contract_file(self, contract: str | Path | dict[str, Any] | Contract) -> str:
        if isinstance(contract, str | Path):
            return str(contract)
        text = json.dumps(contract) if isinstance(contract, dict) else contract.to_json()
        self._contracts += 1
        path = self._folder / f"contract-{self._contracts}.json"
        path.write_text(text, encoding="utf-8")
        return str(path)


class Reproducer:
    """What the fixture `assert_reproducible` gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self,
        job: Job[Any, Any],
        contract: Contract | Mapping[str, Any] | str | Path,
        times: int = 3,
        *,
        exact: bool = False,
        processes: bool = False,
        results: Mapping[str, Any] | None = None,
    ) -> Reproduced:
        """As :func:`nightproof.testing.assert_reproducible`, in the test's own folder."""
        __tracebackhide__ = True
        from nightproof.testing.reproducing import assert_reproducible

        return assert_reproducible(
            job, contract, times, exact=exact, processes=processes, results=results,
            folder=self._folder,
        )  # fmt: skip


class Golden:
    """What the fixture `golden` gives."""

    def __init__(self, folder: Path, node: pytest.Item) -> None:
        self._folder = folder
        self._node = node

    def __call__(
        self,
        actual: Any,
        name: str | None = None,
        *,
        normalise: Job[Any, Any] | Sequence[str | Callable[[Any], Any]] | None = None,
    ) -> None:
        """Compare `actual` with the file `name` in the folder ``golden`` beside the test.

        `actual` is what :func:`nightproof.testing.assert_golden` takes, or what
        `assert_reproducible` returned: then `name` is that of its artifact. Of an
        artifact or path, `name` may be left out. Fails the test where they differ.
        """
        __tracebackhide__ = True
        from nightproof import Artifact
        from nightproof.errors import MisuseError
        from nightproof.testing.golden import assert_golden
        from nightproof.testing.reproducing import Delivered, Reproduced

        if isinstance(actual, Reproduced) and name is not None:
            actual = actual.artifact(name)
        if name is None and isinstance(actual, Delivered):
            name = actual.name
        elif name is None and isinstance(actual, (Path, Artifact)):
            name = Path(actual if isinstance(actual, Path) else actual.path).name
        path = (self._folder / (name or "")).resolve()
        if self._folder.resolve() not in path.parents:
            raise MisuseError(
                f"golden({actual!r:.60}, {name!r}): that names no file in {self._folder}",
                'Write golden(actual, "name.txt").',
            )
        update = bool(self._node.config.getoption("--update-golden"))
        told = assert_golden(actual, path, normalise=normalise, update=update)
        if told == "written":
            self._node.user_properties.append((_WRITTEN, str(path)))
        elif told != "same":
            print(f"{path}: {told}")  # noqa: T201  shown with -rP: normalising hides nothing


@pytest.fixture
def assert_reproducible(tmp_path_factory: pytest.TempPathFactory) -> Reproducer:
    """Runs a job afresh and compares: ``assert_reproducible(nightly, contract, times=3)``."""
    return Reproducer(tmp_path_factory.mktemp("reproducible"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with a file that was kept: ``golden(made, "report.md")``."""
    return Golden(request.path.parent / "golden", request.node)


@pytest.fixture
def drill(tmp_path_factory: pytest.TempPathFactory) -> Drill:
    """Kills a job at its crash points: ``drill("jobs.py:nightly", {"task": "nightly"})``."""
    return Drill(tmp_path_factory.mktemp("drill"))


@pytest.fixture
def fake_clock() -> Iterator[FakeClock]:
    """A clock that stands still until a sleep passes time, or ``advance`` or ``set`` does."""
    from nightproof.model import clock
    from nightproof.testing.fake import FakeClock

    source = FakeClock()
    with clock.use(source):
        yield source


@pytest.fixture
def memory_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a store in memory, which runs use that are given no other.

    It lives as long as the event loop that runs use; artifacts and large values go to
    a temporary folder.
    """
    folder = tmp_path_factory.mktemp("nightproof")
    url = "sqlite://:memory:"
    monkeypatch.setenv("NIGHTPROOF_STORE", url)
    monkeypatch.setenv("NIGHTPROOF_BLOBS", str(folder / "blobs"))
    monkeypatch.setenv("NIGHTPROOF_ARTIFACTS", str(folder / "artifacts"))
    return url

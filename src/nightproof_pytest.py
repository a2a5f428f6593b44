"""The pytest plugin: fixtures for tests of jobs.

`drill` kills a job at every crash point and compares, `fake_clock` makes sleeps
take no time, `memory_store` gives a test a store of its own. nightproof itself is
imported when a test asks for one of them, so that pytest starts as fast as without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nightproof.contract import Contract
    from nightproof.durable.job import Job
    from nightproof.testing.fake import FakeClock
    from nightproof.testing.report import Report


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
    ) -> Report:
        """Kill `target` (a job, or ``file.py:job``) at its crash points and compare.

        `contract` is a Contract, its JSON data, or a path. `everything` tries every
        item instead of the first, the middle and the last; `points` only those that
        fit a pattern (``effect:*``, ``load:before``); `limit` at most so many.
        `environ` is added to the environment of the processes (``{dir}`` stands for
        a folder of each case's own), `cwd` is their working folder.
        Fails the test where something differs, unless `check` is false.
        """
        from nightproof.testing.drill import Options, drill
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

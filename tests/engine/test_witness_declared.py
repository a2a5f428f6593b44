"""What contracts and settings declare is no finding; what is not kept is not kept."""

from pathlib import Path
from typing import Literal

import pytest
from read_on_record import digest, one_step, recorded

from nightproof import Contract, Dataset, job, step
from nightproof.model.states import RunStatus

pytestmark = pytest.mark.sqlite_only


@pytest.fixture
def reads(night):
    """Run a job, then everything that its run is known to have read, by name."""

    def run(main, contract=None, **more):
        outcome = night.run(main, contract, **more)
        assert outcome.status is RunStatus.COMPLETED, outcome.error
        return {read.name: read for read in recorded(night, outcome.name)}

    return run


class Fed(Contract):
    """A contract with a dataset."""

    task: Literal["fed"] = "fed"
    fx: Dataset


def test_what_is_declared(reads, tmp_path):
    """A contract's dataset by its bytes, files by the settings; neither is kept."""
    data, other = tmp_path / "fx.csv", tmp_path / "more" / "x.csv"
    other.parent.mkdir()
    data.write_bytes(b"EUR 1\n")
    other.write_bytes(b"USD 2\n")
    contract = Fed(fx=Dataset(uri=data.as_uri(), sha256=digest(b"EUR 1\n")[7:]))

    @step
    def load(path: str) -> int:
        return len(Path(path).read_bytes()) + len(other.read_bytes())

    @job
    async def main(contract: Fed) -> int:
        return await load(str(contract.fx.path))

    found = reads(main, contract, files=(str(tmp_path / "more"),))
    assert {name: (read.declared, read.kept) for name, read in found.items()} == {
        str(data): ("contract /fx", None),
        str(other): ("setting files", None),
    }


@pytest.mark.parametrize(
    ("name", "content", "mode"),
    [
        ("rates.json", b'{"password": "hunter22"}', 0o644),
        (".netrc", b"machine a", 0o644),
        ("api_token", b"x", 0o644),
        ("plain", b"0", 0o600),
        ("large", b"0" * 300_000, 0o644),
    ],
)
def test_what_is_not_kept(reads, night_contract, tmp_path, name, content, mode):
    """Secrets by name, by content and by their permissions, and large files: only the digest."""
    path = tmp_path / name
    path.write_bytes(content)
    path.chmod(mode)

    def load(names: list[str]) -> int:
        return len(path.read_bytes())

    read = reads(one_step(night_contract, load))[str(path)]
    assert (read.digest, read.size, read.kept) == (digest(content), len(content), None)


def test_nothing_is_kept_or_witnessed_where_that_was_asked(reads, night_contract, tmp_path):
    """Two settings: only digests; or nothing at all, and the snapshot does not claim it."""
    path = tmp_path / "config"
    path.write_bytes(b"1")

    def load(names: list[str]) -> int:
        return len(path.read_bytes())

    main = one_step(night_contract, load)
    assert reads(main, keep_reads=False)[str(path)].kept is None
    assert reads(main, night_contract(n=2), witness=False) == {}

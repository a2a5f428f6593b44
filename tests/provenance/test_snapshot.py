"""A snapshot: what changes which of its three digests, and what is never kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nightproof.errors import BlobError
from nightproof.provenance.snapshot import (
    Snapshot,
    capture,
    differences,
    named,
    numerics,
    read,
    request,
    source,
    taking,
)
from nightproof.provenance.snapshot import interpreter as surroundings
from nightproof.provenance.snapshot.packages import packages

pytestmark = pytest.mark.sqlite_only

ALLOWED = ("REGION", "APP_*", "DATABASE_URL")


@pytest.fixture(autouse=True)
def few_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what is installed here: it is much, and tests/provenance/test_packages.py has it."""
    monkeypatch.setattr(
        taking,
        "packages",
        lambda path, breathe: packages([one for one in path if "site-pack" not in one], breathe),
    )


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A file with a job, beside a helper and a package."""
    (tmp_path / "helpers").mkdir()
    for name in ("job.py", "other.py", "helpers/__init__.py", "helpers/deep.py"):
        (tmp_path / name).write_text("X = 1\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/loose.py").write_text("no package\n")
    return tmp_path / "job.py"


def taken(job: Path, *variables: str) -> Snapshot:
    """A snapshot of this very moment."""
    return capture(request(str(job), variables or ALLOWED))


def test_two_snapshots_of_one_environment_are_the_same_bytes(job: Path) -> None:
    """Nothing of the moment is in a snapshot, so one blob serves every attempt."""
    first, second = taken(job), taken(job)
    assert first.data == second.data
    assert first.digests == second.digests
    assert all(value.startswith("sha256:") for value in first.digests.values())
    assert read(first.data) == first
    assert set(json.loads(first.data)) == {"snapshot", "strict", "numeric", "host"}


@pytest.mark.parametrize(
    ("variable", "value", "item"),
    [
        ("TZ", "Pacific/Kiritimati", "tz"),
        ("LC_ALL", "de_DE.UTF-8", "locale/LC_NUMERIC"),
        ("PYTHONHASHSEED", "7", "hashseed"),
        ("REGION", "eu", "variable/REGION"),
        ("APP_MODE", "night", "variable/APP_MODE"),
    ],
)
def test_a_changed_variable_changes_the_strict_digest_and_names_itself(
    job: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, item: str
) -> None:
    """Zone, locale, hash seed and variables on the list; the other digests stay."""
    before = taken(job)
    monkeypatch.setenv(variable, value)
    after = taken(job)
    changed = differences(before.strict, after.strict)
    assert item in [one.item for one in changed]
    assert before.digests["strict"] != after.digests["strict"]
    assert before.digests["numeric"] == after.digests["numeric"]
    assert f"{item} (" in named(changed, 100)


def test_other_variables_do_not_count(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on the list is nobody's business."""
    before = taken(job)
    monkeypatch.setenv("SOME_OTHER", "x")
    assert taken(job).data == before.data


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_API_KEY", "hunter2"),
        ("APP_TOKEN", "hunter2"),
        ("APP_DB_PASSWORD", "hunter2"),
        ("APP_SESSION", "hunter2"),
        ("DATABASE_URL", "postgresql://ana:hunter2@db/x"),
        ("APP_LINK", "https://x.example/a?sig=hunter2"),
        ("APP_THING", "ghp_hunter2hunter2hunter2"),
        ("APP_OTHER", "A7hunter2hunter2hunter2hunter2"),
    ],
)
def test_of_a_secret_only_the_name_is_kept(
    job: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Neither the value nor a digest of it is anywhere in the snapshot."""
    monkeypatch.setenv(name, value)
    first = taken(job)
    assert first.strict[f"variable/{name}"] == surroundings.HIDDEN
    assert b"hunter2" not in first.data
    monkeypatch.setenv(name, value.replace("hunter2", "hunter3"))
    assert taken(job).digests == first.digests
    monkeypatch.delenv(name)
    assert taken(job).digests["strict"] != first.digests["strict"]


def test_another_interpreter_is_another_environment(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version counts, and so does another build of the same version."""
    before = taken(job)
    version, _, build = sys.version.partition(" ")
    monkeypatch.setattr(sys, "version", f"{version} rebuilt {build}")
    (rebuilt,) = differences(before.strict, taken(job).strict)
    assert rebuilt.item == "python/build"
    monkeypatch.setattr(sys, "version", f"3.99.0 {build}")
    (newer,) = differences(before.strict, taken(job).strict)
    assert (newer.item, newer.b) == ("python/version", "3.99.0")


@pytest.mark.parametrize("file", ["job.py", "other.py", "helpers/deep.py"])
def test_own_code_counts(job: Path, file: str) -> None:
    """An edit in the job's folder, or in a package there, changes the item of that file."""
    before = taken(job)
    (job.parent / file).write_text("X = 2\n")
    (changed,) = differences(before.strict, taken(job).strict)
    assert changed.item == f"code/{file}"


def test_the_place_of_own_code_does_not_count(job: Path, tmp_path: Path) -> None:
    """A copy elsewhere is the same code, and what is no code is not looked at."""
    before = taken(job)
    assert [item for item in before.strict if item.startswith("code/")] == [
        "code/helpers/__init__.py",
        "code/helpers/deep.py",
        "code/job.py",
        "code/other.py",
    ]
    copy = tmp_path / "data" / "copy"
    (copy / "helpers").mkdir(parents=True)
    for name in ("job.py", "other.py", "helpers/__init__.py", "helpers/deep.py"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    (copy / "notes.txt").write_text("not code")
    assert taken(copy / "job.py").digests == before.digests


def test_a_job_in_a_package_brings_its_whole_package(tmp_path: Path) -> None:
    """The root is the top-level package; an installed one is covered by its RECORD."""
    inner = tmp_path / "top" / "inner"
    inner.mkdir(parents=True)
    for folder in (tmp_path / "top", inner):
        (folder / "__init__.py").touch()
    (inner / "job.py").touch()
    assert source.root_of(str(inner / "job.py")) == str(tmp_path / "top")
    installed = tmp_path / "lib/site-packages/jobs"
    installed.mkdir(parents=True)
    (installed / "job.py").touch()
    assert source.root_of(str(installed / "job.py")) == ""
    assert source.root_of("<stdin>") == ""


def test_own_code_is_bounded(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More files than the limit are not read, and the snapshot says so."""
    monkeypatch.setattr(source, "MAX_FILES", 2)
    found = source.own_code(str(job.parent))
    assert len(found) == 3
    assert found["code/…"] == "more files, not looked at"


def test_threads_change_the_numeric_digest_only(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BLAS bytes depend on the number of threads; nothing else does."""
    before = taken(job)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    after = taken(job)
    assert before.digests["strict"] == after.digests["strict"]
    assert before.digests["numeric"] != after.digests["numeric"]
    assert after.numeric["variable/OMP_NUM_THREADS"] == "1"
    assert after.numeric["libc"]


def test_loaded_numeric_libraries_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy's BLAS and SIMD features, and the pools that threadpoolctl finds, are items."""
    core = type(sys)("numpy._core._multiarray_umath")
    core.__cpu_features__ = {"AVX2": True, "AVX512F": False, "FMA3": True}  # type: ignore[attr-defined]
    numpy = type(sys)("numpy")
    blas = {"name": "scipy-openblas", "version": "0.3.31"}
    numpy.__config__ = type("C", (), {"CONFIG": {"Build Dependencies": {"blas": blas}}})  # type: ignore[attr-defined]
    pools = type(sys)("threadpoolctl")
    pool = {"user_api": "blas", "internal_api": "openblas", "num_threads": 2, "filepath": "/x"}
    pools.threadpool_info = lambda: [{**pool, "architecture": "Haswell"}]  # type: ignore[attr-defined]
    for module in (core, numpy, pools):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    assert "numpy" in numerics.loaded()
    found = numerics.numerics({}, ("numpy",))
    assert found["numpy/blas"] == "scipy-openblas 0.3.31"
    assert found["numpy/simd"] == "AVX2 FMA3"
    assert found["threads/blas/openblas"] == "architecture=Haswell num_threads=2"
    assert "numpy/blas" not in numerics.numerics({}, ())


def test_real_numpy_is_told_apart_by_its_simd_features_and_threads() -> None:
    """In processes of their own: the features that numpy may use, and the pool of its BLAS."""
    pytest.importorskip("numpy")
    pytest.importorskip("threadpoolctl")
    code = (
        "import json, numpy\n"
        "from nightproof.provenance.snapshot import numerics as n\n"
        "import os; print(json.dumps(n.numerics(os.environ, n.loaded())))"
    )

    def items(**variables: str) -> dict[str, str]:
        environ = {**os.environ, **variables}
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ
        )
        return dict(json.loads(ran.stdout))

    plain, other = items(OPENBLAS_NUM_THREADS="2"), items(OPENBLAS_NUM_THREADS="1")
    assert plain["numpy/simd"]
    assert plain["numpy/blas"]
    changed = [item.item for item in differences(plain, other)]
    assert changed == ["threads/blas/openblas", "variable/OPENBLAS_NUM_THREADS"]


def test_texts_that_are_no_unicode_do_not_hurt(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable may hold any bytes."""
    monkeypatch.setenv("REGION", "caf\udce9")
    assert taken(job).strict["variable/REGION"] == "caf\\udce9"


@pytest.mark.parametrize("data", [b"", b"[]", b'{"snapshot": 1}', b'{"snapshot": 2}', b"\xff"])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    """A blob of something else, or of a later version, is one clear error."""
    with pytest.raises(BlobError, match="snapshot"):
        read(data)


def test_nothing_of_it_is_imported_at_start() -> None:
    """`import nightproof` and its command load no part of the snapshot."""
    code = (
        "import sys, nightproof, nightproof.cli.running\n"
        "print([name for name in sys.modules if name.startswith('nightproof.provenance.snap')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

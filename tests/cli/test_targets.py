"""Finding the job: files, packages, modules."""

JOB = """
from typing import Literal
from nightproof import Contract, job
from {where} import VALUE

class C(Contract):
    task: Literal["work"] = "work"
    n: int = 1

@job
async def inside(contract: C) -> int:
    return VALUE
"""


def package(np):
    """pack/sub/job.py, which imports its neighbour relatively."""
    sub = np.folder / "top" / "pack" / "sub"
    sub.mkdir(parents=True)
    (sub.parent / "__init__.py").touch()
    (sub / "__init__.py").touch()
    (sub / "near.py").write_text("VALUE = 7\n")
    (sub / "job.py").write_text(JOB.format(where=".near"))
    return sub / "job.py"


def test_file_of_a_package_is_imported_by_its_dotted_name(np):
    """Relative imports work wherever the command is typed, and on resume."""
    package(np)
    ran = np("run", "top/pack/sub/job.py:inside", np.contract(n=1), "--json")
    assert ran.json["result"] == 7
    shown = np("show", ran.json["run"], "--json").json
    assert shown["run"]["target"] == f"{np.folder}/top/pack/sub/job.py:inside"
    assert np("resume", ran.json["run"], "--json").json["result"] == 7


def test_module_name_is_found_in_the_working_folder(np):
    """`package.module:job`, as `python -m` would find it."""
    package(np)
    np.folder = np.folder / "top"
    ran = np("run", "pack.sub.job:inside", np.contract(n=1), "--json")
    assert ran.json["result"] == 7
    assert np("resume", ran.json["run"], "--json").json["result"] == 7


def test_file_may_be_called_like_a_module_of_python(np):
    """`json.py` is imported from its path, whatever else has that name."""
    (np.folder / "jobs").mkdir()
    (np.folder / "jobs" / "near.py").write_text("VALUE = 8\n")
    (np.folder / "jobs" / "json.py").write_text(JOB.format(where="near"))
    ran = np("run", "jobs/json.py", np.contract(n=1), "--json")
    assert ran.json["result"] == 8


def test_package_whose_name_is_taken_is_refused(np):
    """A folder called like an installed package would import the wrong file."""
    taken = np.folder / "jobs" / "pydantic"
    taken.mkdir(parents=True)
    (taken / "__init__.py").touch()
    (taken / "main.py").write_text("raise SystemExit\n")
    ran = np("run", "jobs/pydantic/main.py:x", np.contract())
    assert ran.code == 2
    assert "that name belongs to" in ran.err

"""`explain --packages`: A's version of a package is fetched and tried."""

import base64
import hashlib
import zipfile

import pytest

from nightproof.errors import ConfigError
from nightproof.provenance.locking import uv

JOB = """
from typing import Literal

from nightproof import Contract, job, step


class Work(Contract):
    task: Literal["work"] = "work"


@step
def named() -> str:
    import moonphase

    return moonphase.NAME


@job
async def main(contract: Work) -> str:
    return await named()
"""

try:
    UV = uv.command()
except ConfigError:
    UV = []


def wheel(folder, version, name):
    """A wheel of one module, complete with RECORD."""
    info = f"moonphase-{version}.dist-info"
    files = {
        "moonphase.py": f"NAME = {name!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: moonphase\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{file},sha256={digest(text)},{len(text)}" for file, text in files.items()] + [
        f"{info}/RECORD,,"
    ]
    path = folder / f"moonphase-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for file, text in {**files, f"{info}/RECORD": "\n".join(rows) + "\n"}.items():
            made.writestr(file, text)
    return path


def digest(text):
    """As RECORD writes it."""
    found = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(found).rstrip(b"=").decode()


@pytest.fixture
def upgraded(np):
    """A ran with 1.0, B with 2.0; an index of files has what `offered` says 1.0 is."""
    (np.folder / "night.py").write_text(JOB)
    (np.folder / "wheels").mkdir()
    (np.folder / "mine").mkdir()
    contract = np.contract()
    np.env["PYTHONHASHSEED"] = "0"
    names = []
    for version, name in (("1.0", "new moon"), ("2.0", "full moon")):
        site = np.folder / f"site{version}"
        zipfile.ZipFile(wheel(np.folder / "mine", version, name)).extractall(site)
        words = ("--replicate", "--json") if names else ("--json",)
        ran = np("run", "night.py:main", contract, *words, PYTHONPATH=str(site))
        names.append(ran.json["run"])

    def explain(offered, *words):
        wheel(np.folder / "wheels", "1.0", offered)
        index = {
            "UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": str(np.folder / "wheels"),
            "UV_CACHE_DIR": str(np.folder / "cache"), "PYTHONPATH": str(np.folder / "site2.0"),
        }  # fmt: skip
        return np("explain", *names, "--json", "--runs", "3", *words, **index).json

    return explain


@pytest.mark.skipif(not UV, reason="uv is not installed")
def test_the_package_of_a_brings_its_outcome_back(upgraded):
    """The same wheel, put before today's one: environment is proved."""
    document = upgraded("new moon", "--packages")
    assert document["cause"] == "environment"
    assert document["verdicts"]["environment"] == "proved by swap"
    arm = document["experiments"][-1]
    assert (arm["factor"], arm["likeA"]) == ("packages moonphase 1.0 as in A", 3)


@pytest.mark.skipif(not UV, reason="uv is not installed")
def test_another_wheel_of_that_version_proves_nothing(upgraded):
    """The same number is not the same package: it is not tried, and that is said."""
    document = upgraded("gibbous", "--packages")
    assert document["verdicts"]["environment"] == "consistent with"
    assert "another wheel than A's" in document["remarks"][-1]
    assert all("packages" not in one["factor"] for one in document["experiments"])

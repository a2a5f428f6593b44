"""Wheels made by hand, for tests that install without a network."""

import base64
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest


def row(name: str, data: bytes) -> str:
    """A row of RECORD."""
    hashed = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={hashed},{len(data)}"


@pytest.fixture
def wheel(tmp_path: Path) -> Callable[..., Path]:
    """Make a wheel of the package ``moon_phase`` in a folder."""

    def make(version: str = "1.0", body: str = "PHASE = 1\n", folder: str = "wheels") -> Path:
        info = f"moon_phase-{version}.dist-info"
        files = {
            "moon_phase/__init__.py": body,
            "moon_phase/a, b.txt": "a name with a comma\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: moon_phase\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": "[console_scripts]\nmoon = moon_phase:main\n",
        }
        rows = [
            row(f'"{name}"' if "," in name else name, text.encode()) for name, text in files.items()
        ]
        files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
        path = tmp_path / folder / f"moon_phase-{version}-py3-none-any.whl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path

    return make

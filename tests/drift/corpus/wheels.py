"""Small distributions, unpacked as an installer would: with METADATA, WHEEL and RECORD."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path


def install(site: Path, name: str, version: str, files: Mapping[str, str], tag: str = "1") -> None:
    """Unpack the wheel of a distribution into `site`, in place of any other version of it.

    `tag` is its build number: the same version built again is another wheel.
    """
    remove(site, name)
    folder = f"{name}-{version}.dist-info"
    content = {
        **files,
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{folder}/WHEEL": "Wheel-Version: 1.0\nGenerator: corpus\nRoot-Is-Purelib: true\n"
        f"Tag: py3-none-any\nBuild: {tag}\n",
        f"{folder}/INSTALLER": "corpus\n",
    }
    rows = []
    for path, text in content.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{path},sha256={digest.decode()},{len(text.encode())}")
    (site / folder / "RECORD").write_text("\n".join([*rows, f"{folder}/RECORD,,"]) + "\n")


def remove(site: Path, name: str) -> None:
    """Remove a distribution, if it is there."""
    for old in site.glob(f"{name}-*.dist-info"):
        for row in (old / "RECORD").read_text().splitlines():
            (site / row.partition(",")[0]).unlink(missing_ok=True)
        shutil.rmtree(old)

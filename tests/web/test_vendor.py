"""The files of others beside the pages."""

import re
from hashlib import sha256
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "src/nightproof/web/static/vendor"


def test_files_of_others_are_what_their_packages_hold():
    """Every file of the folder is listed with its hash, unchanged, with a licence beside it."""
    listed = dict(
        reversed(line.split("  "))
        for line in re.findall(
            r"^[0-9a-f]{64}  \S+$", (VENDOR / "README.md").read_text(), re.MULTILINE
        )
    )
    there = {one.name: sha256(one.read_bytes()).hexdigest() for one in VENDOR.iterdir()}
    del there["README.md"]
    packages = {name for name in listed if name.endswith(".tgz")}
    assert packages == {"htmx.org-4.0.1.tgz", "uplot-1.6.32.tgz"}
    assert there == {name: digest for name, digest in listed.items() if name not in packages}
    assert {"htmx.LICENSE.txt", "uPlot.LICENSE.txt"} <= set(there)

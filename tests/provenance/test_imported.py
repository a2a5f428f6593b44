"""Which distributions a process uses."""

from nightproof.provenance.snapshot.imported import imported
from nightproof.provenance.snapshot.installed import Distribution


def distribution(name, *files):
    """A distribution with these files."""
    rows = [f"{file},sha256=x,1".encode() for file in files]
    return Distribution(name, "/site", f"{name}-1.dist-info", 0, rows)


def test_distributions_are_found_by_their_modules():
    """Packages, single modules and extension modules; a name that only begins alike is none."""
    found = imported(
        [
            distribution("PyYAML", "yaml/__init__.py", "PyYAML-1.dist-info/METADATA"),
            distribution("six", "six.py"),
            distribution("apsw", "apsw.cpython-311-x86_64-linux-gnu.so"),
            distribution("other", "yamllint/__init__.py"),
            distribution("empty"),
        ],
        ["yaml", "yaml.loader", "six", "apsw", "sys"],
    )
    assert found == ["PyYAML", "six", "apsw"]

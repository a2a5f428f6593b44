"""Settings: where they come from, which wins, and what is refused."""

from pathlib import Path

import pytest

from nightproof.app import places
from nightproof.config import Settings, load
from nightproof.errors import ConfigError


def test_files_environment_and_flags_in_that_order(tmp_path: Path):
    """Each later source wins over the earlier ones, name by name."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.nightproof]\nstore = "sqlite:///p.db"\nlease = 5\npark-after = 7\n'
        "[tool.nightproof.concurrency]\nfetch = 4\n"
    )
    found = load(tmp_path, {"NIGHTPROOF_LEASE": "6", "NIGHTPROOF_STORE": "sqlite:///e.db"}, grace=3)
    assert (found.store, found.lease, found.park_after, found.grace) == ("sqlite:///e.db", 6, 7, 3)
    assert found.concurrency == {"fetch": 4}
    assert load(tmp_path, {"NIGHTPROOF_LEASE": "6"}, lease=9.0).lease == 9


def test_variables_are_a_list_or_parted_by_commas(tmp_path: Path):
    """In a file a list, in the environment a text."""
    (tmp_path / "nightproof.toml").write_text('variables = ["REGION", "APP_*"]\n')
    assert list(load(tmp_path, {}).variables) == ["REGION", "APP_*"]
    assert list(load(tmp_path, {"NIGHTPROOF_VARIABLES": "A, B_*,"}).variables) == ["A", "B_*"]


def test_nightproof_toml_comes_before_pyproject(tmp_path: Path):
    """The file of its own wins where both are there."""
    (tmp_path / "pyproject.toml").write_text("[tool.nightproof]\nlease = 5\n")
    (tmp_path / "nightproof.toml").write_text("lease = 8\n")
    assert load(tmp_path, {}).lease == 8


def test_without_any_source_the_defaults_hold(tmp_path: Path):
    """An empty folder and an empty environment."""
    assert load(tmp_path, {}).store == Settings().store == "sqlite:///.nightproof/journal.db"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("lease = -1", "lease"),
        ('lease = "soon"', "lease"),
        ('durability = "some"', "durability"),
        ("leese = 1", "'leese'"),
        ("lease = ", "not valid TOML"),
        ("concurrency = {fetch = 0}", "concurrency.fetch"),
        ("concurrency = 4", "concurrency"),
        ("lease = true", "lease"),
        ("grace = inf", "grace"),
        ("store = 4", "store"),
        ('variables = "REGION"', "variables"),
        ("variables = [1]", "variables"),
        ('files = "data"', "files"),
        ("hosts = 4", "hosts"),
        ('programs = [""]', "programs"),
        ('witness = "no"', "witness"),
        ("keep_reads = 1", "keep_reads"),
        ('canary = "nightly"', "canary"),
        ("canary_hours = 25", "canary_hours"),
        ("canary_hours = true", "canary_hours"),
        ("stall = 0", "stall"),
        ('late = "1h"', "late"),
        ('alerts = "slack"', "alerts"),
        ("textfile = 4", "textfile"),
    ],
)
def test_nonsense_names_the_setting(tmp_path: Path, text: str, part: str):
    """ConfigError says which setting, never a traceback of something else."""
    (tmp_path / "nightproof.toml").write_text(text + "\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})
    assert part in caught.value.message


def test_nonsense_in_the_environment_names_the_variable(tmp_path: Path):
    """Not a number of seconds."""
    with pytest.raises(ConfigError, match="NIGHTPROOF_LEASE"):
        load(tmp_path, {"NIGHTPROOF_LEASE": "soon"})


def test_switches_in_the_environment(tmp_path: Path):
    """Words that people use for true and false, and nothing else."""
    found = load(tmp_path, {"NIGHTPROOF_WITNESS": "0", "NIGHTPROOF_KEEP_READS": "False"})
    assert (found.witness, found.keep_reads) == (False, False)
    assert load(tmp_path, {}).witness
    with pytest.raises(ConfigError, match="NIGHTPROOF_WITNESS"):
        load(tmp_path, {"NIGHTPROOF_WITNESS": "perhaps"})


@pytest.mark.parametrize(
    "url", ["postgresql://x", "sqlite:/a", "sqlite://a", "sqlite:///", "x", ""]
)
def test_store_urls_that_mean_nothing(url: str):
    """The message shows what to write."""
    with pytest.raises(ConfigError, match="store") as caught:
        places(url)
    assert "sqlite:///" in caught.value.hint


def test_store_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Three slashes are relative, four absolute."""
    monkeypatch.chdir(tmp_path)
    assert places("sqlite:///a/b.db").journal == str(tmp_path / "a/b.db")
    assert places("sqlite:////a/b.db").journal == "/a/b.db"
    assert places("sqlite://:memory:").journal == ":memory:"

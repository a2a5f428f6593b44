"""Settings: where they come from, which wins, and what is refused."""

from pathlib import Path

import pytest

from nightproof import app
from nightproof.app import places
from nightproof.config import Settings, load, redacted
from nightproof.errors import ConfigError, UsageError
from nightproof.stores.files import FileBlobs


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


@pytest.mark.parametrize("url", ["sqlite:/a", "sqlite://a", "sqlite:///", "x", ""])
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


def test_a_server_keeps_its_surroundings_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A database has no folder: blobs, artifacts and cache are in .nightproof, or as set."""
    monkeypatch.chdir(tmp_path)
    for scheme in ("postgresql", "postgres"):
        settings = Settings(store=f"{scheme}://me@db.example/nights")
        beside = tmp_path / ".nightproof"
        assert places(settings.store).file is None
        assert app.absolute(settings.store) == settings.store
        assert app.blobs_folder(settings) == beside / "blobs"
        assert app.artifacts_root(settings) == beside / "artifacts"
        assert app.cache_folder(settings) == beside / "cache"
        app.require_journal(settings)
    other = settings.override(blobs="b", artifacts="a", cache="c")
    assert app.artifacts_root(other) == tmp_path / "a"
    assert (app.blobs_folder(other), app.cache_folder(other)) == (Path("b"), Path("c"))


def test_blobs_by_a_file_url(tmp_path: Path):
    """It names a folder like any other."""
    blobs = app.open_blobs(Settings(blobs=f"file://{tmp_path}/b"))
    assert isinstance(blobs, FileBlobs)
    assert blobs.root == tmp_path / "b"


def test_a_missing_client_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    """One line says what to install; it does not show the password."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = Settings(store="postgresql://me:hush@db.example/nights")
    for act in (app.open_journal, app.open_reader):
        with pytest.raises(ConfigError) as caught:
            act(settings)
        assert "nightproof[postgres]" in caught.value.hint
        assert "hush" not in str(caught.value)


def test_a_server_is_not_salvaged(tmp_path: Path):
    """Only a file can be."""
    with pytest.raises(UsageError, match="nothing to salvage"):
        app.salvage(Settings(store="postgresql://db.example/nights"), tmp_path / "new.db")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hush@db/n", "postgresql://me:***@db/n"),
        ("postgresql://me:a@b:c@db:1/n?x=1", "postgresql://me:***@db:1/n?x=1"),
        ("postgresql://me@db/n?password=hush", "postgresql://me@db/n?password=***"),
        (
            "run j.py --store postgres://a:b@h/d --json",
            "run j.py --store postgres://a:***@h/d --json",
        ),
        ("s3://b/p?endpoint=http://k:s@h:1/", "s3://b/p?endpoint=http://k:***@h:1/"),
        ("postgresql://me@db/n", "postgresql://me@db/n"),
        ("sqlite:////a/b:c@d.db", "sqlite:////a/b:c@d.db"),
    ],
)
def test_passwords_are_not_shown(text: str, shown: str):
    """Wherever a URL is printed or kept, its password is not."""
    assert redacted(text) == shown

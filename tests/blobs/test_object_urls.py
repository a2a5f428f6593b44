"""What URLs of object stores mean."""

from __future__ import annotations

import os

import pytest

from nightproof.app import open_blobs
from nightproof.config import Settings
from nightproof.errors import ConfigError
from nightproof.stores.objects.address import parse
from nightproof.stores.objects.client import connect

ACCOUNT = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable of any cloud is set."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("url", "kind", "parts"),
    [
        ("s3://nights", "S3Store", ["nights"]),
        ("s3://nights/a/b/?region=eu-central-1", "S3Store", ["nights", "eu-central-1"]),
        ("s3://nights?endpoint=http://127.0.0.1:9000", "S3Store", ["http://127.0.0.1:9000"]),
        (f"r2://{ACCOUNT}/nights/a", "S3Store", [f"https://{ACCOUNT}.r2.cloudflarestorage.com"]),
        ("gs://nights/a", "GCSStore", ["nights"]),
        ("az://nights/a?account=me", "AzureStore", ["nights", "me"]),
        ("abfss://nights/a", "AzureStore", ["nights", "other"]),
    ],
)
def test_urls_become_clients(clean: pytest.MonkeyPatch, url: str, kind: str, parts: list[str]):
    """Made, not asked."""
    clean.setenv("AZURE_STORAGE_ACCOUNT_NAME", "other")
    made = connect(parse(url), "1s", 0)
    assert type(made).__name__ == kind
    known = repr([made, getattr(made, "config", {}), getattr(made, "client_options", {})])
    assert [part for part in parts if part not in known] == []


def test_prefix_and_bucket(clean: pytest.MonkeyPatch):
    """Slashes at the ends are no part of the prefix; R2 has its account in front."""
    found = [parse(url)[1:3] for url in ("s3://b/p/q/", f"r2://{ACCOUNT}/b/p", "gs://b")]
    assert found == [("b", "p/q"), ("b", "p"), ("b", "")]


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_ENDPOINT_URL_S3"])
def test_the_endpoint_may_come_from_the_environment(clean: pytest.MonkeyPatch, name: str):
    """As other programs have it; the URL's own wins."""
    clean.setenv(name, "http://store.example:8333/")
    assert parse("s3://b").options == {"endpoint": "http://store.example:8333"}
    assert parse("s3://b?endpoint=https://o.example").options == {"endpoint": "https://o.example"}
    assert parse("gs://b").options == {}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://b/p", "cannot open"),
        ("s3:///p", "names no bucket"),
        ("s3://", "names no bucket"),
        ("s3://key:hush@b/p", "credentials are no part"),
        ("s3://b?password=hush", "no option 'password'"),
        ("s3://b?endpoint=store.example", "is no URL"),
        ("s3://b?endpoint", "cannot read"),
        ("r2://b", "names no bucket"),
    ],
)
def test_urls_that_mean_nothing(clean: pytest.MonkeyPatch, url: str, said: str):
    """One line, before anything is asked; no secret in it."""
    with pytest.raises(ConfigError, match=said) as caught:
        open_blobs(Settings(blobs=url))
    assert caught.value.hint
    assert "hush" not in str(caught.value)


def test_a_missing_client_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    """One line says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        open_blobs(Settings(blobs="s3://nights"))
    assert "nightproof[objects]" in caught.value.hint

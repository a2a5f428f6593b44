"""What a URL of an object store means; no obstore here, so that a wrong one is said early."""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from nightproof.config import redacted
from nightproof.errors import ConfigError

SCHEMES = {
    "s3": "s3", "s3a": "s3", "r2": "s3", "gs": "gs",
    "az": "az", "azure": "az", "abfs": "az", "abfss": "az", "memory": "memory",
}  # fmt: skip
_HOW = (
    "Write s3://bucket/prefix, r2://ACCOUNT/bucket/prefix, gs://bucket/prefix, "
    "az://container/prefix?account=NAME, or name a folder."
)
_OPTIONS = {"s3": ("endpoint", "region"), "gs": ("endpoint",), "az": ("account", "endpoint")}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_ACCOUNT = "AZURE_STORAGE_ACCOUNT_NAME"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Address(NamedTuple):
    """One place for blobs: `kind` is s3, gs, az or memory, `options` are the client's."""

    kind: str
    bucket: str
    prefix: str
    options: dict[str, str]
    shown: str
    """For people: without options and secrets."""

    @property
    def hosts(self) -> tuple[tuple[str, int], ...]:
        """The server and its port, as far as the URL and the environment tell."""
        region = self.options.get("region") or os.environ.get("AWS_REGION", "us-east-1")
        known = {
            "s3": f"https://s3.{region}.amazonaws.com",
            "gs": "https://storage.googleapis.com",
            "az": f"https://{self.options.get('account', '')}.blob.core.windows.net",
        }
        parts = urlsplit(self.options.get("endpoint") or known.get(self.kind, ""))
        usual = 80 if parts.scheme == "http" else 443
        return ((parts.hostname, parts.port or usual),) if parts.hostname else ()


def parse(url: str) -> Address:
    """Read the URL; what it leaves out is the client's to find in the environment.

    ``endpoint`` and ``region`` may be given behind a question mark; credentials may not:
    those are ``AWS_ACCESS_KEY_ID`` and the like. Raises ConfigError.
    """
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise ConfigError(f"blobs: cannot read '{redacted(url)}'", _HOW) from None
    kind = SCHEMES.get(parts.scheme)
    if kind is None:
        raise ConfigError(f"blobs: cannot open '{redacted(url)}'", _HOW)
    if "@" in parts.netloc:
        raise ConfigError(
            f"blobs: credentials are no part of '{redacted(url)}'",
            "Leave them to the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …).",
        )
    options = dict(given)
    for name in options:
        if name not in _OPTIONS.get(kind, ()):
            known = ", ".join(_OPTIONS.get(kind, ())) or "none"
            raise ConfigError(
                f"blobs: '{parts.scheme}://' has no option '{name}'", f"Known: {known}."
            )
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if parts.scheme == "r2":
        account, (bucket, _, prefix) = bucket, prefix.partition("/")
        options.setdefault("endpoint", f"https://{account}.r2.cloudflarestorage.com")
        options.setdefault("region", "auto")
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError(f"blobs: '{redacted(url)}' names no bucket", _HOW)
    if kind == "s3":
        _endpoint(options)
    if kind == "az" and os.environ.get(_ACCOUNT):  # the client shows itself only where it is told
        options.setdefault("account", os.environ[_ACCOUNT])
    shown = f"{parts.scheme}://{'/'.join(filter(None, (parts.netloc, parts.path.strip('/'))))}"
    return Address(kind, bucket, prefix, options, shown)


def _endpoint(options: dict[str, str]) -> None:
    """Where the server is, if it is not Amazon's: as given, else from the environment."""
    found = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    endpoint = options.get("endpoint") or found
    if endpoint is None:
        return
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"blobs: the endpoint '{redacted(endpoint)}' is no URL",
            "Write https://host[:port], or http:// for a server without TLS.",
        )
    options["endpoint"] = endpoint.rstrip("/")

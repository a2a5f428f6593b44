"""How much may be asked for at once, and what is never followed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nightproof.views import delivered
from nightproof.web.pages import search


async def sent(*pieces: bytes) -> AsyncIterator[bytes]:
    """A body, piece by piece."""
    for piece in pieces:
        yield piece


def test_a_file_has_an_end(monkeypatch: pytest.MonkeyPatch):
    """One that is larger than what is hashed is refused when that is known."""
    monkeypatch.setattr(search, "MOST_BYTES", 10)
    assert asyncio.run(search.hashed(sent(b"12345", b"67890"))).size == 10
    with pytest.raises(search._Refused, match="larger than"):
        asyncio.run(search.hashed(sent(b"12345", b"67890", b"1")))


def test_so_many_files_are_hashed_at_once():
    """One more is told to come back, and those under way are counted as they were."""
    state = SimpleNamespace(files_under_way=search.AT_A_TIME)
    request: Any = SimpleNamespace(
        app=SimpleNamespace(state=state), headers={}, stream=lambda: sent(b"x")
    )
    assert asyncio.run(search.take(request)).status_code == 503
    assert state.files_under_way == search.AT_A_TIME
    state.files_under_way -= 1
    assert asyncio.run(search.take(request)).status_code == 200
    assert state.files_under_way == search.AT_A_TIME - 1


def test_a_link_that_comes_between_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file that becomes a link between the look and the opening leads nowhere else."""
    path, secret = tmp_path / "a.txt", tmp_path / "secret"
    path.write_text("a")
    secret.write_text("b")
    before = Path.stat

    def stat(self: Path, **how: Any) -> Any:
        found = before(self, **how)
        if self == path:
            path.unlink()
            path.symlink_to(secret)
        return found

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(delivered.Undelivered), delivered.regular(str(path)):
        pass

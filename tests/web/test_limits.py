"""How much may be asked for at once, and what is never followed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nightproof.views import delivered
from nightproof.web import previews
from nightproof.web.pages import search
from nightproof.web.pages.artifacts import disposition


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


def test_markdown_of_very_many_brackets_is_shown_as_text(monkeypatch: pytest.MonkeyPatch):
    """Each of them may begin a link: what takes seconds to read is not read."""
    monkeypatch.setattr(previews, "MOST_BRACKETS", 3)
    assert previews.preview("a.md", None, b"# a [b] [c] [d]").kind == "markdown"
    assert previews.preview("a.md", None, b"# a [b] [c] [d] [e]").kind == "text"


def test_what_is_too_large_for_a_frame_is_in_none(dashboard: Any, monkeypatch: pytest.MonkeyPatch):
    """Whoever knows the address of the frame gets no more than the page shows."""
    run = dashboard.house.runs["crashed"]
    delivered = dashboard.get(f"/api/runs/{run}/artifacts").json()["items"]
    (n,) = [one["n"] for one in delivered if one["name"] == "report.html"]
    frame = f"/runs/{run}/artifacts/{n}/sandbox"
    assert dashboard.get(frame).status_code == 200
    monkeypatch.setattr(previews, "LARGEST_FRAME", 3)
    assert dashboard.get(frame).status_code == 404


@pytest.mark.parametrize(
    ("name", "kept"),
    [(".bashrc", "bashrc"), ("a/../.x", "x"), ("b.txt. ", "b.txt"), ("..", "artifact")],
)
def test_a_download_is_neither_hidden_nor_a_folder(name: str, kept: str):
    """The name that a browser is given begins and ends with a letter."""
    assert disposition(name).startswith(f'attachment; filename="{kept}";')

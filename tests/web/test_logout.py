"""A session that was ended stays ended: for copies of its cookie, and after a restart."""

from pathlib import Path
from typing import Any

from web_client import TOKEN

from nightproof.model import clock
from nightproof.testing.fake import FakeClock
from nightproof.web.dashboard import Dashboard
from nightproof.web.security.access import SESSION_SECONDS, Access, Session
from nightproof.web.security.ended import EndedSessions


def cookie(access: Access, session: Session) -> list[tuple[str, str]]:
    """What a browser sends for a session."""
    header = access.set_cookie(session).partition(";")[0]
    return [tuple(header.split("=", 1))]  # type: ignore[list-item]


def test_a_restart_does_not_bring_a_session_back(house: Any, tmp_path: Path):
    """Two dashboards of one keys folder and token, one after the other and beside each other."""

    def start() -> Access:
        made = Dashboard(house.settings(keys=str(tmp_path / "keys")), print, token=TOKEN)
        return made._access("127.0.0.1", "127.0.0.1", 8642)

    first, beside = start(), start()
    ended, kept = first.begin(signed_in=True), first.begin(signed_in=True)
    assert beside.session(cookie(first, ended)).signed_in
    first.end(ended)
    for one in (first, beside, start()):
        assert not one.session(cookie(first, ended)).signed_in
        assert one.over(ended)
        assert one.session(cookie(first, kept)).signed_in
    [file] = (tmp_path / "keys" / "dashboard.ended").iterdir()
    assert (file.stat().st_mode & 0o777, file.stat().st_size) == (0o600, 0)
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_what_has_ended_by_itself_is_forgotten(tmp_path: Path):
    """The folder holds what was ended in the last twelve hours; other files are let alone."""
    fake = FakeClock()
    with clock.use(fake):
        ended = EndedSessions(tmp_path)
        (tmp_path / "note.txt").touch()
        access = Access(token=TOKEN, ended=ended)
        for _ in range(3):
            access.end(access.begin(signed_in=True))
        assert len(list(tmp_path.iterdir())) == 4
        fake.advance(SESSION_SECONDS)
        last = access.begin(signed_in=True)
        access.end(last)
        assert sorted(one.name for one in tmp_path.iterdir()) == [
            f"{last.expires}.{last.id}", "note.txt",
        ]  # fmt: skip


def test_where_it_cannot_be_kept_it_is_said(tmp_path: Path):
    """The session is over here and now all the same."""
    said: list[str] = []
    (tmp_path / "file").touch()
    access = Access(token=TOKEN, ended=EndedSessions(tmp_path / "file" / "ended", said.append))
    session = access.begin(signed_in=True)
    access.end(session)
    assert not access.session(cookie(access, session)).signed_in
    assert ["until the next start only" in line for line in said] == [True]

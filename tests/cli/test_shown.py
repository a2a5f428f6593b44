"""What commands print of what somebody else wrote: no secret, no code for the terminal."""

import pytest

from nightproof.cli import session, table

DSN = "postgresql://me:hush@db/n"


def test_a_secret_is_hidden_before_it_is_cut(monkeypatch: pytest.MonkeyPatch):
    """A terminal has room for its beginning only, which nobody would know for one."""
    monkeypatch.setattr(table, "terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "30")
    lines = table.rows(["RUN", "ERROR"], [["r-1", f"no answer {DSN}"]])
    assert all("hush" not in line for line in lines)


def test_codes_of_a_job_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Colours are ours; a title, a cursor that moves and hidden text are not printed."""
    monkeypatch.setattr(table, "colours", lambda stream: True)
    hostile = "a\x1b]0;title\x07b\x1b[2J\x1b[1Ac\x1b[8mhidden\x1b[0m\u202ed\re"
    table.out(f"{table.painted('failed')}  {hostile} {DSN}")
    assert capsys.readouterr().out == (
        "\x1b[31mfailed\x1b[0m  abchidden\x1b[0m\ufffdd\ufffde postgresql://(hidden)@db/n\n"
    )
    session.note(hostile)
    assert capsys.readouterr().err == "abchidden\ufffdd\ufffde\n"

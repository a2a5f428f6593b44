"""The weekly note: reproducible as long as what it does not declare stays the same."""

import json
import time

import pytest
from weekly_report import contract as contracts
from weekly_report.note import STYLE_FILE, weekly_note

from nightproof.testing import Reproduced, assert_reproducible


@pytest.fixture
def note(zip_bytes, tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Makes the note twice in the environment as it is; its text."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "CET-1")
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    period = ("2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00")
    contract = contracts.WeeklyReport.load(contracts.weekly_contract(*period))
    monkeypatch.chdir(tmp_path)

    def make() -> str:
        time.tzset()
        made: Reproduced = assert_reproducible(weekly_note, contract, times=2)
        assert made.identical
        return made.artifact("note.md").path.read_text("utf-8")

    yield make
    monkeypatch.undo()
    time.tzset()


def test_note_is_reproducible_where_nothing_changes(note):
    """Twice the same bytes, with the week's one unusual move."""
    text = note()
    assert text.startswith("# The week closed on 2 November 2026\n")
    assert "- EUR/BRL +7.45\u202f%" in text


def test_note_depends_on_a_file_in_the_configuration(note, tmp_path):
    """A decimal comma from a file that no contract mentions."""
    (tmp_path / STYLE_FILE).write_text(json.dumps({"decimal": ","}))
    assert "- EUR/BRL +7,45\u202f%" in note()


def test_note_depends_on_the_time_zone(note, monkeypatch: pytest.MonkeyPatch):
    """Elsewhere the week has closed a day earlier."""
    monkeypatch.setenv("TZ", "EST5")
    assert note().startswith("# The week closed on 1 November 2026\n")

"""What `show` says of models and prompts."""

import pytest

from nightproof import Contract, ModelPin, job, prompt, served, step, views
from nightproof.cli.reading import told


class Asking(Contract):
    """A contract with a pin."""

    task: str = "asking"
    model: ModelPin = ModelPin(id="flash", pinned_version="flash-002")


@pytest.fixture
def summary(night, tmp_path):
    """The summary of a run that asked a model three times, with an unlocked prompt."""
    (tmp_path / "ask@1.md").write_text("Hello")

    @step
    async def ask(n: int) -> str:
        prompt("ask@1", folder=tmp_path)
        return served(requested="flash-002", reported="flash-003" if n else "flash-002")

    @job
    async def main(contract: Asking) -> list[str]:
        return await ask.map([0, 1, 2], concurrency=1)

    outcome = night.run(main, Asking())

    async def read(app):
        return await views.summary(app.journal, await views.open_run(app.journal, outcome.name))

    return night.ask(read)


def test_answers_are_counted_by_who_gave_them(summary):
    """One line for each model that answered, with its status."""
    assert [(one.reported, one.status, one.count) for one in summary.models] == [
        ("flash-002", "matched", 1),
        ("flash-003", "mismatched", 2),
    ]


def test_prompts_are_named_with_their_digest(summary):
    """Once for each text, and whether it is locked."""
    (found,) = summary.prompts
    assert (found.id, found.locked, len(found.sha256)) == ("ask@1", False, 64)


def test_show_tells_both(summary):
    """In lines for people."""
    text = "\n".join(told(summary))
    assert "prompt    ask@1  sha256 185f8db32271, not locked" in text
    assert "model     flash-002, answered by flash-003: mismatched, 2 times" in text

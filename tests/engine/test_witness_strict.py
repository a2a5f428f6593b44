"""Undeclared reads are refused under strict."""

import json
import os
import socket

import pytest
from read_on_record import digest, one_step

from nightproof import job
from nightproof.errors import StepFailed, UndeclaredRead
from nightproof.model.states import RunStatus

pytestmark = pytest.mark.sqlite_only


def test_strict_refuses_an_undeclared_read_when_it_happens(night, night_contract, tmp_path):
    """It is not made, the step fails at once, and the message says what to write."""
    path = tmp_path / "config"
    path.write_bytes(b"1")
    after = []

    def load(names: list[str]) -> int:
        text = path.read_bytes()
        after.append(text)
        return len(text)

    main = one_step(night_contract, load)
    outcome = night.run(main, strict=True)
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.type == "UndeclaredRead"
    assert len(outcome.error.attempts) == 1
    assert f"step 'load' reads the file {path}, and nothing declares that" in str(outcome.error)
    assert after == []
    assert night.run(main, strict=True, files=(str(path),)).status is RunStatus.COMPLETED
    assert after == [b"1"]


def test_strict_says_what_would_declare_it(night, night_contract, tmp_path, monkeypatch):
    """The Dataset for the contract, or the setting."""
    path = tmp_path / "config"
    path.write_bytes(b"1")
    monkeypatch.setenv("REGION", "eu")
    asked = []

    @job
    async def main(contract: night_contract) -> int:
        for act in (
            path.read_bytes,
            lambda: os.environ["REGION"],
            lambda: list(tmp_path.iterdir()),
        ):
            with pytest.raises(UndeclaredRead) as caught:
                act()
            asked.append(caught.value.hint)
        with pytest.raises(UndeclaredRead) as caught:
            os.system("true")  # noqa: ASYNC221
        asked.append(caught.value.hint)
        with socket.socket() as asking, pytest.raises(UndeclaredRead) as caught:
            asking.connect(("127.0.0.3", 1))
        asked.append(caught.value.hint)
        os.environ.copy()
        return 1

    assert night.value(main, strict=True) == 1
    dataset = json.dumps({"uri": path.as_uri(), "sha256": digest(b"1")[7:]})
    parts = [f"a Dataset in the contract: {dataset}", 'variables = ["REGION"]']
    parts += [f'files = ["{tmp_path}/"]', 'programs = ["sh"]', 'hosts = ["127.0.0.3"]']
    assert [part in hint for part, hint in zip(parts, asked, strict=True)] == [True] * 5

"""`nightproof prompts check | lock`."""

import json

import pytest

from nightproof.cli.main import main


@pytest.fixture
def prompts(tmp_path, monkeypatch):
    """A project with one prompt, not locked yet."""
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "a@1.md").write_text("one")
    monkeypatch.chdir(tmp_path)
    return folder


def test_new_versions_are_locked_and_then_fine(prompts, capsys):
    """check says what to do; lock does it; check is content."""
    assert main(["prompts", "check"]) == 3
    said = capsys.readouterr()
    assert "not locked" in said.out
    assert "nightproof prompts lock prompts" in said.err
    assert main(["prompts", "lock"]) == 0
    assert "locked a@1" in capsys.readouterr().out
    assert main(["prompts", "check"]) == 0
    assert main(["prompts", "lock"]) == 0
    assert "nothing new" in capsys.readouterr().out


def test_a_changed_text_is_exit_3_with_the_next_version(prompts, capsys):
    """Both commands say so; the lock stays as it was."""
    main(["prompts", "lock"])
    lock = (prompts / "prompts.lock.json").read_bytes()
    (prompts / "a@1.md").write_text("edited")
    capsys.readouterr()
    for command in ("check", "lock"):
        assert main(["prompts", command]) == 3
        said = capsys.readouterr().err
        assert "is not the text that was locked as a@1" in said
        assert "save it as a@2.md" in said
    assert (prompts / "prompts.lock.json").read_bytes() == lock


def test_json_names_every_version(prompts, capsys):
    """One document with stable keys."""
    assert main(["prompts", "check", "--json", str(prompts)]) == 3
    (found,) = json.loads(capsys.readouterr().out)["prompts"]
    assert (found["id"], found["state"], found["locked"]) == ("a@1", "not locked", None)
    assert main(["prompts", "lock", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["locked"] == ["a@1"]


@pytest.mark.parametrize("command", ["check", "lock"])
def test_a_folder_that_is_not_there_is_bad_input(prompts, capsys, command):
    """Exit 2 and one message; nothing is made."""
    assert main(["prompts", command, "none"]) == 2
    assert "there is no folder none" in capsys.readouterr().err
    assert not (prompts.parent / "none").exists()


def test_a_damaged_lock_is_bad_input(prompts, capsys):
    """Exit 2, and the file is named."""
    (prompts / "prompts.lock.json").write_text("{")
    assert main(["prompts", "lock"]) == 2
    assert "prompts.lock.json is not JSON" in capsys.readouterr().err


JOB = """
from typing import Literal
from nightproof import Contract, PromptId, job

class Asking(Contract):
    task: Literal["asking"] = "asking"
    prompt_template_id: PromptId

@job
async def main(contract: Asking) -> str:
    return contract.prompt_template_id
"""


def test_a_contract_is_checked_against_its_prompts(prompts, capsys):
    """Where there is a folder of prompts, a version that is not there or has changed is refused."""
    (prompts.parent / "job.py").write_text(JOB)
    contract = prompts.parent / "contract.json"
    check = ["contract", "check", "job.py:main", str(contract)]
    contract.write_text('{"contractVersion": "1", "task": "asking", "promptTemplateId": "a@1"}')
    assert main(check) == 0
    main(["prompts", "lock"])
    (prompts / "a@1.md").write_text("edited")
    capsys.readouterr()
    assert main([*check, "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["ok"] is False
    assert "is not the text that was locked as a@1" in said.err
    contract.write_text(contract.read_text().replace("a@1", "b@1"))
    assert main(check) == 2
    assert "there is no b@1.md" in capsys.readouterr().err


def test_a_project_without_prompts_is_left_alone(prompts, capsys):
    """The job may keep its texts elsewhere."""
    (prompts / "a@1.md").unlink()
    prompts.rmdir()
    (prompts.parent / "job.py").write_text(JOB)
    given = '{"contractVersion": "1", "task": "asking", "promptTemplateId": "a@1"}'
    assert main(["contract", "check", "job.py:main", given]) == 0

"""`prompt(...)`: the template is on record with what read it."""

import pytest

from nightproof import Contract, PromptTemplate, StepFailed, job, prompt, step
from nightproof.contract.prompts import lock_all
from nightproof.provenance.prompted import decoded, prompts_of

pytestmark = pytest.mark.sqlite_only


class Asking(Contract):
    """A contract with a prompt."""

    task: str = "asking"
    prompt_template_id: str = "ask@1"


@pytest.fixture
def folder(tmp_path):
    """A folder with a locked template."""
    found = tmp_path / "prompts"
    found.mkdir()
    (found / "ask@1.md").write_text("Hello $name")
    lock_all(found)
    return found


def on_record(night, outcome):
    """What the journal says of the prompts of a run."""

    async def find(app):
        row = await app.journal.find(outcome.name)
        return await prompts_of(app.journal, row.id)

    return night.ask(find)


def test_a_template_is_read_in_body_and_steps_and_recorded_once_for_each(night, folder):
    """A step takes it as an argument; a map of steps records it once."""

    @step
    async def say(template: PromptTemplate, name: str) -> str:
        return template.render(name=name)

    @step
    def each(n: int) -> str:
        return prompt("ask@1", folder=folder).render(name=n)

    @job
    async def main(contract: Asking) -> list[str]:
        template = prompt(contract.prompt_template_id, folder=folder)
        return [await say(template, "you"), *await each.map([1, 2, 3], concurrency=1)]

    outcome = night.run(main, Asking())
    assert outcome.value == ["Hello you", "Hello 1", "Hello 2", "Hello 3"]
    found = on_record(night, outcome)
    assert [(one.step.rpartition(".")[2], bool(one.fp)) for one in found] == [
        ("", False),
        ("each", True),
    ]
    assert {(one.id, one.path, one.locked) for one in found} == {
        ("ask@1", str(folder / "ask@1.md"), True)
    }
    note = night.notes(outcome.name, "prompt")[0]
    assert decoded(note, found[0].at) == found[0]
    assert note["message"].startswith("ask@1 (sha256 ")


def test_a_changed_text_fails_the_step_for_good(night, folder):
    """It is not tried again, and the error proposes the next version."""
    (folder / "ask@1.md").write_text("Bye $name")
    tries = []

    @step
    async def say() -> str:
        tries.append(1)
        return prompt("ask@1", folder=folder).text

    @job
    async def main(contract: Asking) -> str:
        return await say()

    outcome = night.run(main, Asking())
    assert isinstance(outcome.error, StepFailed)
    assert (outcome.error.type, len(tries)) == ("PromptError", 1)
    assert "save it as ask@2.md" in str(outcome.error)


JOB = """
from nightproof import Contract, job, prompt

class Asking(Contract):
    task: str = "asking"

@job
async def main(contract: Asking) -> str:
    return prompt("ask@1").text
"""


def load(path):
    """The job in a file."""
    namespace = {"__file__": str(path), "__name__": "asked"}
    exec(compile(JOB, str(path), "exec", dont_inherit=True), namespace)
    return namespace["main"], namespace["Asking"]


def test_it_lies_beside_the_job(night, folder, tmp_path):
    """No folder has to be named."""
    main, contract = load(tmp_path / "job.py")
    assert night.run(main, contract()).value == "Hello $name"


def test_it_lies_beside_the_contract(night, folder, tmp_path):
    """A job that is installed somewhere finds the templates of a project."""
    elsewhere = tmp_path / "elsewhere"
    main, contract = load(elsewhere / "job.py")
    given = contract().in_folder(tmp_path)
    assert night.run(main, given).value == "Hello $name"


def test_what_was_looked_at_is_said(night, tmp_path):
    """Both places are named where the file is in neither."""
    main, contract = load(tmp_path / "elsewhere" / "job.py")
    outcome = night.run(main, contract().in_folder(tmp_path))
    assert str(tmp_path / "elsewhere" / "prompts") in outcome.error.message
    assert str(tmp_path / "prompts") in outcome.error.message


def test_outside_a_run_it_is_only_read(folder):
    """Unit tests need nothing."""
    assert prompt("ask@1", folder=folder).render(name="you") == "Hello you"

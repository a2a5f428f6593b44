"""Prompt templates: one text for one version, for ever."""

import json
from hashlib import sha256

import pytest

from nightproof.contract.prompts import (
    PromptTemplate,
    find,
    lock_all,
    next_version,
    read_lock,
    versions,
)
from nightproof.errors import PromptError


@pytest.fixture
def folder(tmp_path):
    """A folder with two versions, both locked."""
    found = tmp_path / "prompts"
    found.mkdir()
    (found / "a@1.md").write_text("one $x")
    (found / "a@2.md").write_text("two")
    lock_all(found)
    return found


def test_a_version_is_found_and_is_what_was_locked(folder):
    """Text, digest of the bytes, file, and that the lock agrees."""
    template, path, locked = find("a@1", [folder.parent / "elsewhere", folder])
    assert (template.id, template.text, locked) == ("a@1", "one $x", True)
    assert template.sha256 == sha256(b"one $x").hexdigest()
    assert path == folder / "a@1.md"


def test_a_changed_text_is_refused_and_the_next_version_proposed(folder):
    """The message names both digests, the new name, and what to do with the old one."""
    (folder / "a@2.md").write_text("two, edited")
    with pytest.raises(PromptError, match=r"a@2\.md is not the text that was locked") as caught:
        find("a@2", [folder])
    assert "save it as a@3.md" in caught.value.message
    assert "write a@3 in the contract" in caught.value.hint
    assert sha256(b"two").hexdigest()[:12] in caught.value.message


def test_the_next_version_is_one_that_never_was(folder):
    """A version that only the lock remembers is not given away again."""
    (folder / "a@10.md").write_text("x")
    (folder / "b@30.md").write_text("x")
    assert next_version("a@1", folder) == "a@11"
    lock_all(folder)
    (folder / "a@10.md").unlink()
    assert next_version("a@1", folder) == "a@11"


def test_a_version_that_the_lock_does_not_have_is_refused(folder):
    """Nobody would notice its change; the command that locks it is named."""
    (folder / "a@3.md").write_text("three")
    with pytest.raises(PromptError, match="does not have a@3") as caught:
        find("a@3", [folder])
    assert f"nightproof prompts lock {folder}" in caught.value.hint
    assert lock_all(folder) == ["a@3"]
    assert find("a@3", [folder]).locked


def test_without_a_lock_a_version_is_taken_as_it_is(tmp_path):
    """And is known not to be locked."""
    (tmp_path / "a@1.md").write_text("one")
    assert find("a@1", [tmp_path]).locked is False


@pytest.mark.parametrize(
    ("prompt_id", "word"),
    [
        ("a", "not a prompt id with a version"),
        ("../a@1", "not a prompt id with a version"),
        ("a@0", "not a prompt id with a version"),
        ("a@7", r"versions of a there: a@1, a@2"),
        ("b@1", r"versions of b there: none"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(folder, prompt_id, word):
    """A wrong id is one message."""
    with pytest.raises(PromptError, match=word):
        find(prompt_id, [folder])


def test_a_file_that_is_no_text(tmp_path):
    """Not UTF-8: the file is named."""
    (tmp_path / "a@1.md").write_bytes(b"\xff\xfe")
    with pytest.raises(PromptError, match=r"a@1\.md is not UTF-8"):
        find("a@1", [tmp_path])


@pytest.mark.parametrize("content", ["{", "[]", '{"a": "x"}', '{"a@1": 7}', '{"a@1": "sha256:00"}'])
def test_a_damaged_lock_is_one_message(folder, content):
    """And it is never taken for an empty one."""
    (folder / "prompts.lock.json").write_text(content)
    for act in (lambda: find("a@1", [folder]), lambda: lock_all(folder)):
        with pytest.raises(PromptError, match=r"prompts\.lock\.json"):
            act()
    assert (folder / "prompts.lock.json").read_text() == content


def test_states_of_a_folder(folder):
    """Locked, changed, not locked, and locked without a file, in the order of versions."""
    (folder / "a@2.md").write_text("edited")
    (folder / "a@10.md").write_text("ten")
    (folder / "a@1.md").unlink()
    (folder / "README.md").write_text("no prompt")
    assert [(one.id, one.state) for one in versions(folder)] == [
        ("a@1", "no file"),
        ("a@2", "changed"),
        ("a@10", "not locked"),
    ]


def test_locking_writes_nothing_where_a_text_has_changed(folder):
    """The new version is not locked in passing."""
    before = (folder / "prompts.lock.json").read_bytes()
    (folder / "a@1.md").write_text("edited")
    (folder / "a@3.md").write_text("new")
    with pytest.raises(PromptError, match="a@1"):
        lock_all(folder)
    assert (folder / "prompts.lock.json").read_bytes() == before


def test_the_lock_keeps_versions_whose_files_are_gone(folder):
    """Their names must not come to mean another text."""
    (folder / "a@1.md").unlink()
    (folder / "a@3.md").write_text("three")
    lock_all(folder)
    assert list(read_lock(folder)) == ["a@1", "a@2", "a@3"]
    assert json.loads((folder / "prompts.lock.json").read_text()) == read_lock(folder)
    (folder / "a@1.md").write_text("another text")
    with pytest.raises(PromptError, match="not the text that was locked"):
        find("a@1", [folder])


def test_a_folder_that_is_not_there(tmp_path):
    """One message with what to type."""
    with pytest.raises(PromptError, match="there is no folder"):
        versions(tmp_path / "none")


def test_a_file_with_half_a_version(folder):
    """`a@x.md` is not silently left out."""
    (folder / "a@x.md").write_text("x")
    with pytest.raises(PromptError, match=r"a@x"):
        versions(folder)


def test_rendering_replaces_every_name():
    """Values as text; $$ is a dollar; a value too many does not matter."""
    template = PromptTemplate("a@1", "0" * 64, "$who owes $$5 to ${other}s")
    assert template.render(who="A", other=7, unused=1) == "A owes $5 to 7s"


@pytest.mark.parametrize(("text", "word"), [("$tpyo", r"a@1: \$tpyo has no value"), ("$ x", "a@1")])
def test_a_name_without_a_value_is_an_error(text, word):
    """A typing error in a template is not sent to a model."""
    with pytest.raises(PromptError, match=word):
        PromptTemplate("a@1", "0" * 64, text).render(typo=1)


def test_sections_are_templates_of_their_own():
    """The text below a heading, with the id and digest of the whole."""
    whole = PromptTemplate("a@1", "0" * 64, "# a\n\nhead\n\n## One\n\nx $y\n\n## Two\n\nz\n")
    assert whole.section("One").text == "x $y"
    assert whole.section("Two") == PromptTemplate("a@1", "0" * 64, "z")
    with pytest.raises(PromptError, match="'## Three'; its headings: One, Two"):
        whole.section("Three")

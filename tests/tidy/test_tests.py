"""Every test says what it holds."""

import ast
import re
from pathlib import Path


def silent_tests(tree: ast.Module) -> list[str]:
    """The test functions and methods without a docstring."""
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]


def test_every_test_has_a_docstring(tracked: list[Path], root: Path):
    """The docstring is what a reader of a red run sees first."""
    found = {}
    for path in tracked:
        if path.is_relative_to(root / "tests") and path.name.startswith("test_"):
            silent = silent_tests(ast.parse(path.read_text("utf-8")))
            if silent:
                found[str(path.relative_to(root))] = silent
    assert found == {}


def test_silent_tests_would_be_found():
    """The check sees async tests and methods too."""
    code = (
        "class T:\n    async def test_a(self): ...\ndef test_b():\n    'Says so.'\ndef help(): ..."
    )
    assert silent_tests(ast.parse(code)) == ["test_a"]


def test_nothing_is_imported_from_a_conftest(tracked: list[Path], root: Path):
    """Several folders have one, and which of them is meant depends on who came first."""
    taken = re.compile(r"^\s*(from|import) conftest\b", re.MULTILINE)
    tests = [path for path in tracked if path.is_relative_to(root / "tests")]
    sources = {path: path.read_text("utf-8") for path in tests if path.suffix == ".py"}
    assert [path for path, text in sources.items() if taken.search(text)] == []
    assert taken.search("from conftest import House")

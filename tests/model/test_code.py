"""Digests of code see what changes behaviour, and nothing else."""

from collections.abc import Callable
from typing import Any

from nightproof import step
from nightproof.model.code import VERSION, code_digest, comparable


def compiled(text: str, name: str = "f") -> Callable[..., Any]:
    space: dict[str, Any] = {"__name__": "user"}
    exec(compile(text, "user.py", "exec"), space)
    return space[name]


BASE = "def f(x, y=1):\n    return x + y\n"


def test_comments_docstrings_and_lines_do_not_count() -> None:
    """Formatting is no change."""
    other = '\n\n# hello\ndef f(x, y=1):\n    "What it does."\n\n    # why\n    return (x +\n            y)\n'
    assert code_digest(compiled(BASE)) == code_digest(compiled(other))


def test_what_changes_behaviour_counts() -> None:
    """Constants, operators, defaults, names, nested functions and helpers."""
    texts = [
        BASE,
        "def f(x, y=2):\n    return x + y\n",
        "def f(x, y=1):\n    return x - y\n",
        "def f(x, y=1):\n    return x + y + 1\n",
        "def f(x, y=1):\n    return abs(x)\n",
        "def f(x, y=1):\n    return max(x)\n",
        "def f(x, y=1):\n    return (lambda: x + y)()\n",
        "def f(x, y=1):\n    return (lambda: x - y)()\n",
        "def f(x, y=1):\n    return x in {1, 2}\n",
        "def f(x, y=1):\n    return x in {1, 3}\n",
        "def g(x):\n    return x\ndef f(x, y=1):\n    return g(x)\n",
        "def g(x):\n    return -x\ndef f(x, y=1):\n    return g(x)\n",
        "def f(x, *, y=1):\n    return x + y\n",
    ]
    assert len({code_digest(compiled(text)) for text in texts}) == len(texts)


def test_helpers_that_call_each_other() -> None:
    """Recursion ends, and the digest is stable."""
    text = "def g(n):\n    return f(n - 1)\ndef f(n):\n    return g(n) if n else 0\n"
    assert code_digest(compiled(text)) == code_digest(compiled(text))


def test_a_step_has_the_digest_of_its_function() -> None:
    """The decorator does not count; a helper that is a step counts with its body."""

    def f(x: int) -> int:
        return x

    assert step(f).code == code_digest(f)
    one = (
        "from nightproof import step\n@step\ndef g(x):\n    return x\ndef f(x):\n    return g(x)\n"
    )
    assert code_digest(compiled(one)) != code_digest(
        compiled(one.replace("return x\n", "return -x\n"))
    )


def test_digests_of_other_versions_are_not_compared() -> None:
    """Byte code differs between versions of Python; that is no edit."""
    digest = code_digest(compiled(BASE))
    assert digest.startswith(f"{VERSION}:")
    assert comparable(digest, f"{VERSION}:0000")
    assert not comparable(digest, "3.99:0000")


def test_a_constant_of_the_module_counts() -> None:
    """A changed module-level constant changes what the step computes."""
    text = "RATE = {}\ndef f(x):\n    return x * RATE\n"
    assert code_digest(compiled(text.format(2))) != code_digest(compiled(text.format(3)))

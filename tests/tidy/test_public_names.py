"""The public names: sorted, present, explained."""

import inspect

import nightproof


def test_public_names_are_sorted_and_exist():
    """__all__ is sorted, holds no name twice, and each name can be imported."""
    names = list(nightproof.__all__)
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(nightproof, name)] == []


def test_public_names_have_docstrings():
    """Every public class and function says what it is."""
    silent = []
    for name in nightproof.__all__:
        value = getattr(nightproof, name)
        if (inspect.isclass(value) or inspect.isroutine(value)) and not value.__doc__:
            silent.append(name)
    assert silent == []

"""A command line costs what its own command costs, and says what it would say."""

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from nightproof.cli import commands
from nightproof.cli.narrowing import narrowed


def names(app):
    """The commands that an app describes."""
    return sorted(get_command(app).commands)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("show R", ["show"]),
        ("--store x show R", ["show"]),
        ("--store=x --debug doctor", ["doctor"]),
        ("--store show runs", ["runs"]),
        ("contract new --help", ["contract"]),
        ("schedule show", ["schedule"]),
    ],
)
def test_only_what_is_asked_for_is_described(line, found):
    """Wherever its name stands; the value of an option is no command."""
    assert names(narrowed(commands.app, line.split())) == found


@pytest.mark.parametrize(
    "line", ["", "--help", "-h", "sho R", "--version", "--stor x show", "--store"]
)
def test_all_are_described_where_none_is_named(line):
    """Help, mistakes and completion know every command."""
    assert names(narrowed(commands.app, line.split())) == names(commands.app)


def test_every_command_is_found_by_its_name():
    """Nothing is described that cannot be called, and the help is that of the whole."""
    for name in names(commands.app):
        only = narrowed(commands.app, [name])
        assert names(only) == [name]
        told = [
            CliRunner().invoke(app, [name, "--help"], prog_name="nightproof").output
            for app in (commands.app, only)
        ]
        assert told[0] == told[1]

"""The simulator of the revenue pipeline's services."""

import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "daily_revenue"
sys.path.insert(0, str(EXAMPLE.parent))

from daily_revenue.simulator import Simulator  # noqa: E402


@pytest.fixture
def simulator():
    """Start one with the given options; all are stopped in the end."""
    running = []

    def start(*args, **kwargs):
        found = Simulator(*args, **kwargs).start()
        running.append(found)
        return found

    yield start
    for one in running:
        one.close()

"""Steps that these tests share have nothing broken and nothing tried."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from course_jobs import broken, tries  # noqa: E402 - needs the lines above


@pytest.fixture(autouse=True)
def fresh():
    """Nothing broken, nothing tried."""
    broken.clear()
    tries.clear()

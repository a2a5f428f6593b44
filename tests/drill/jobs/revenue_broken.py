"""The nightly revenue with a mistake in it, which ``REVENUE_BROKEN`` names: negative controls."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))

from daily_revenue import job as night
from daily_revenue.clients import database

from nightproof import effect, step

match os.environ.get("REVENUE_BROKEN", ""):
    case "posts-again":  # Slack knows no idempotency key
        night.post_report = effect(key="daily-revenue/{day}", unknown="retry")(night.post_report.fn)
    case "posts-in-a-step":
        night.post_report = step(night.post_report.fn)
    case "inserts-blindly":
        database.SCHEMA = database.SCHEMA.replace(", PRIMARY KEY (date, country, app)", "")
        database._UPSERT = database._UPSERT.partition("ON CONFLICT")[0]

daily_revenue = night.daily_revenue

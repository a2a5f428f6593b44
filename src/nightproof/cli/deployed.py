"""Which schedules Temporal has, for ``nightproof schedule show``."""

from __future__ import annotations

import asyncio
from typing import Any

from nightproof import app
from nightproof.cli.session import complain
from nightproof.config import Settings
from nightproof.errors import EngineError


def shown(settings: Settings) -> dict[str, dict[str, Any]] | None:
    """What is deployed, by schedule; None where the server cannot be asked, which is said."""
    from nightproof.engines.temporal import schedules
    from nightproof.engines.temporal.connection import connect

    async def look() -> dict[str, dict[str, Any]]:
        connection = await connect(settings, app.open_blobs(settings))
        return {
            name: {
                "note": told.schedule.state.note or "",
                "paused": told.schedule.state.paused,
                "next": [at.isoformat() for at in told.info.next_action_times],
            }
            for name, told in (await schedules.deployed(connection)).items()
        }

    try:
        app.require_temporal()
        return asyncio.run(look())
    except EngineError as error:
        complain(error)
        return None

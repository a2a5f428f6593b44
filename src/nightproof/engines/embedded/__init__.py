"""The default engine: asyncio, in the user's process."""

from nightproof.engines.embedded.engine import Engine as Engine

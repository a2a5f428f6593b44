"""The default engine: asyncio, in the user's process."""

from nightproof.engines.embedded.engine import Engine as Engine
from nightproof.engines.embedded.launching import Launch as Launch
from nightproof.engines.embedded.run import Run as Run
from nightproof.engines.embedded.state import Options as Options
from nightproof.engines.embedded.state import Outcome as Outcome

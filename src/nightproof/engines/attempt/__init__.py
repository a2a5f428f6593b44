"""One process's try at a run: what every engine does alike, whoever drives it."""

from nightproof.engines.attempt.launching import Launch as Launch
from nightproof.engines.attempt.run import Run as Run
from nightproof.engines.attempt.state import Options as Options
from nightproof.engines.attempt.state import Outcome as Outcome

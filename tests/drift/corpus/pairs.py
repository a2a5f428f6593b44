"""Every pair of the corpus."""

from __future__ import annotations

from tests.drift.corpus.asked import MODEL, SAMPLING
from tests.drift.corpus.clean import CLEAN
from tests.drift.corpus.harder import HARDER
from tests.drift.corpus.local import CONTEXT, ENVIRONMENT
from tests.drift.corpus.unseen import UNSEEN

PLANTED = [*ENVIRONMENT, *CONTEXT, *MODEL, *SAMPLING]
PAIRS = [*PLANTED, *CLEAN]
EVERY = [*PAIRS, *HARDER, *UNSEEN]

"""The environment of an attempt: strict, numeric and host digests, with the items behind them."""

from nightproof.provenance.snapshot.compare import Difference as Difference
from nightproof.provenance.snapshot.compare import differences as differences
from nightproof.provenance.snapshot.compare import named as named
from nightproof.provenance.snapshot.document import Snapshot as Snapshot
from nightproof.provenance.snapshot.document import read as read
from nightproof.provenance.snapshot.imported import IMPORTED as IMPORTED
from nightproof.provenance.snapshot.taking import Request as Request
from nightproof.provenance.snapshot.taking import capture as capture
from nightproof.provenance.snapshot.taking import request as request
from nightproof.provenance.snapshot.taking import take as take

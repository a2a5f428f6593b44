"""``python -m nightproof`` is the command."""

import sys

from nightproof.cli.main import main

sys.exit(main())

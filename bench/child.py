"""One measurement in a process of its own: `python -m bench.child MODULE:FUNCTION JSON`."""

from __future__ import annotations

import cProfile
import importlib
import json
import os
import pstats
import sys
from pathlib import Path

MARK = "BENCH-RESULT "


def main() -> None:
    target, text = sys.argv[1:3]
    params = json.loads(text)
    work = Path(params.pop("work"))
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    lines = int(os.environ.get("BENCH_PROFILE", "0"))
    if lines:
        profile = cProfile.Profile()
        result = profile.runcall(function, work=work, **params)
        for order in ("tottime", "cumulative"):
            pstats.Stats(profile).strip_dirs().sort_stats(order).print_stats(lines)
    else:
        result = function(work=work, **params)
    print(MARK + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

"""Time and randomness are inputs: only model/clock.py asks the system for them."""

import ast
from pathlib import Path

import pytest

CLOCK = "model/clock.py"

BANNED = frozenset(
    """
    time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter
    time.perf_counter_ns time.sleep time.localtime time.gmtime time.ctime time.asctime
    time.strftime time.clock_gettime time.clock_gettime_ns
    datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today
    asyncio.sleep
    os.urandom os.getrandom uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 uuid.uuid8
    random.SystemRandom random.random random.uniform random.randint random.randrange
    random.randbytes random.getrandbits random.choice random.choices random.sample
    random.shuffle random.gauss random.normalvariate random.expovariate random.triangular
    """.split()
)
BANNED_MODULES = frozenset({"secrets"})


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, as a dotted path."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
                else:
                    top = alias.name.partition(".")[0]
                    names[top] = top
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """The dotted path that an expression such as ``dt.datetime.now`` stands for."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, names)
        return f"{base}.{node.attr}" if base else None
    return None


def banned_uses(tree: ast.Module) -> list[str]:
    """Every mention of a banned function, as ``line: name`` (a call is not needed)."""
    names = imported_names(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            path = dotted(node, names)
            if path and (path in BANNED or path.partition(".")[0] in BANNED_MODULES):
                found.append(f"{node.lineno}: {path}")
        elif isinstance(node, ast.ImportFrom):
            stars = {alias.name for alias in node.names} == {"*"}
            if stars and node.module in {"time", "random", "secrets", "uuid", "datetime"}:
                found.append(f"{node.lineno}: from {node.module} import *")
        elif isinstance(node, ast.Call) and not node.args:
            path = dotted(node.func, names)
            if path == "random.Random":
                found.append(f"{node.lineno}: random.Random() without a seed")
    return found


def test_only_the_clock_asks_the_system(sources: dict[str, ast.Module]):
    """Everything but model/clock.py takes time and randomness from it."""
    uses = {path: banned_uses(tree) for path, tree in sources.items() if path != CLOCK}
    assert {path: found for path, found in uses.items() if found} == {}


def test_the_clock_is_where_they_are(root: Path):
    """The rule is not empty: the clock itself does use what is banned elsewhere."""
    assert banned_uses(ast.parse((root / "src/nightproof" / CLOCK).read_text("utf-8")))


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "import time as t\nx = t.monotonic",
        "from time import sleep as nap\nnap(1)",
        "def f():\n    from time import perf_counter\n    return perf_counter()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "import datetime\ndatetime.date.today()",
        "import random\nrandom.random()",
        "from random import Random\nRandom()",
        "import secrets\nsecrets.token_hex(8)",
        "import uuid\nfield(default_factory=uuid.uuid4)",
        "import os\nos.urandom(8)",
        "from time import *",
    ],
)
def test_banned_uses_would_be_found(code: str):
    """Aliases, function-local imports and bare mentions do not hide a use."""
    assert banned_uses(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "from nightproof.model import clock\nclock.random()",
        "from nightproof.model.clock import now\nnow()",
        "import random\nrandom.seed(1)\nrandom.Random(7)",
        "from datetime import datetime\ndatetime.fromisoformat('2026-01-01')",
        "def f(time):\n    return time.time",
    ],
)
def test_allowed_uses_are_not_found(code: str):
    """The clock's own functions, seeding and parsing are nobody's business."""
    assert banned_uses(ast.parse(code)) == []

"""Settings: frozen, validated once.

Read from ``[tool.nightproof]`` in pyproject.toml or from nightproof.toml, then
from the environment (``NIGHTPROOF_STORE`` for ``store``), then from flags; what
comes later wins.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from nightproof.errors import ConfigError

DEFAULT_STORE = "sqlite:///.nightproof/journal.db"
PRIVATE_KEY = "signing.key"
"""The file in the folder of keys that signs manifests."""
ENGINES = ("embedded", "temporal")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """Everything that can be set; durations in seconds."""

    store: str = DEFAULT_STORE
    """Where the journal is: ``sqlite:///path`` (three slashes relative, four absolute), or
    ``postgresql://user@host/database``."""
    blobs: str = ""
    """Where large values are: a folder or ``s3://bucket/prefix`` (also ``r2``, ``gs``, ``az``).

    Default ``blobs`` beside the journal. Beside a journal on a server means in ``.nightproof`` of the working folder."""
    artifacts: str = ""
    """Where artifacts are: a folder; default ``artifacts`` beside the journal."""
    cache: str = ""
    """Where fetched datasets are kept: a folder; default ``cache`` beside the journal."""
    keys: str = ""
    """Where the key is that signs manifests: a folder; default ``~/.config/nightproof``."""
    durability: Literal["full", "normal"] = "full"
    """"full": a checkpoint survives power loss; "normal": it survives a crash."""
    lease: float = 30.0
    """How long a run stays owned without a heartbeat; on Temporal, three times as long as a step is
    left to a worker that is not heard of."""
    park_after: float = 300.0
    """A wait longer than this parks the run, so that its process may leave."""
    grace: float = 10.0
    """How long steps in flight may go on after SIGTERM or Ctrl-C."""
    concurrency: Mapping[str, int] = field(default_factory=dict)
    """Bounds of maps by step name; they win over the code."""
    variables: Sequence[str] = ()
    """Environment variables that results may depend on: names or patterns (``APP_*``).

    They are part of an attempt's snapshot; of what looks like a secret, only the name."""
    files: Sequence[str] = ()
    """Files and folders that jobs may read besides their contract's datasets.

    Names or patterns (``data/*.csv``, ``~/.config/tool``); a folder stands for all in it."""
    hosts: Sequence[str] = ()
    """Hosts that jobs may ask: names, patterns (``*.example.com``), or ``name:port``."""
    programs: Sequence[str] = ()
    """Programs that jobs may start: names, paths or patterns."""
    witness: bool = True
    """Whether it is recorded what an attempt reads."""
    keep_reads: bool = True
    """Whether undeclared files and variables are kept, so that `explain` can put them back.

    Small ones that do not look like a secret, at most 8 MiB an attempt."""
    canary: Sequence[str] = ()
    """Jobs of which `nightproof canary` makes one replicate a night."""
    canary_hours: float = 6.0
    """Over how many hours, from its start, `nightproof canary` spreads them."""
    serve: Sequence[str] = ()
    """Targets whose schedules `nightproof serve` serves: ``jobs.py`` or ``jobs.py:job``."""
    stall: float = 900.0
    """A run that records nothing for so long has stalled; ``@job(stall=...)`` wins."""
    late: float = 3600.0
    """A night whose run has not begun so long after it was due is a missed night."""
    textfile: str = ""
    """Where runs leave the store's metrics for node_exporter: a path that ends in ``.prom``."""
    alerts: Mapping[str, Any] = field(default_factory=dict)
    """Who is told of incidents: ``slack``, ``webhook``, ``command`` and ``ping``."""
    engine: Literal["embedded", "temporal"] = "embedded"
    """What runs do their work on: "embedded" (in the process itself) or "temporal"."""
    temporal: str = "temporal://localhost:7233/default?task_queue=nightproof"
    """The Temporal server: ``temporal://host:port/namespace?task_queue=…``; ``&tls=true``,
    and as files ``&ca=…&cert=…&key=…``. An API key is in ``NIGHTPROOF_TEMPORAL_API_KEY``."""
    temporal_key: str = ""
    """The file with the keys that encrypt what Temporal is given; "" for none."""
    public_url: str = ""
    """Where people open the dashboard behind a proxy: ``https://nights.example.com``.

    It then asks for a login, wherever it listens."""
    timezone: str = "UTC"
    """The zone of local times in isolated attempts (``--isolate``): a name like ``Europe/Berlin``."""

    def __post_init__(self) -> None:
        for name in _SECONDS:
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and 0 < value < float("inf")):
                raise ConfigError(f"{name}: expected a positive number of seconds, got {value!r}")
        hours: Any = self.canary_hours
        if isinstance(hours, bool) or not isinstance(hours, (int, float)) or not 0 <= hours <= 24:
            raise ConfigError(f"canary_hours: expected 0 to 24 hours, got {hours!r}")
        if self.durability not in ("full", "normal"):
            raise ConfigError(f"durability: expected 'full' or 'normal', got {self.durability!r}")
        for name in ("store", "blobs", "artifacts", "cache", "keys", "timezone", "textfile"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name}: expected a text, got {getattr(self, name)!r}")
        for name in ("engine", "temporal", "temporal_key"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name}: expected a text, got {getattr(self, name)!r}")
        if not _PUBLIC.fullmatch(str(self.public_url)):
            raise ConfigError(
                f"public_url: expected scheme and host, got {self.public_url!r}",
                "Write https://nights.example.com: pages are not served below a path.",
            )
        if self.engine not in ENGINES:
            raise ConfigError(f"engine: expected 'embedded' or 'temporal', got '{self.engine}'")
        self._check_lists()

    def _check_lists(self) -> None:
        for name, example in _TABLES.items():
            table: Any = getattr(self, name)
            if not isinstance(table, Mapping):
                raise ConfigError(f"{name}: expected a table, got {table!r}", f"Write {example}.")
        for step, bound in self.concurrency.items():
            if type(bound) is not int or bound < 1:
                raise ConfigError(f"concurrency.{step}: expected a positive integer, got {bound!r}")
        for name, example in _LISTS.items():
            names: Any = getattr(self, name)
            listed = isinstance(names, Sequence) and not isinstance(names, str)
            if not (listed and all(isinstance(each, str) and each for each in names)):
                raise ConfigError(
                    f"{name}: expected a list of names, got {names!r}", f"Write {name} = {example}."
                )
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}: expected true or false, got {getattr(self, name)!r}")

    def override(self, **given: Any) -> Settings:
        """A copy with every value of `given` that is not None."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


_NAMES = {item.name for item in fields(Settings)}
_TABLES = {
    "alerts": '[alerts] and below it `slack = "env:SLACK_WEBHOOK_URL"`',
    "concurrency": "[concurrency] and below it `fetch_country = 4`",
}
"""Settings that are tables, each with an example; the environment has none of them."""
VARIABLES = tuple(sorted(f"NIGHTPROOF_{name.upper()}" for name in _NAMES - _TABLES.keys()))
"""The environment variables that settings are read from."""
_SECONDS = ("lease", "park_after", "grace", "stall", "late")
_NUMBERS = {*_SECONDS, "canary_hours"}
_LISTS = {
    "variables": '["REGION", "APP_*"]',
    "files": '["data/*.csv", "~/.config/tool"]',
    "hosts": '["api.example.com"]',
    "programs": '["git"]',
    "canary": '["daily_revenue"]',
    "serve": '["jobs.py"]',
}
"""Settings that are lists of names, each with an example."""
_SWITCHES = {"witness", "keep_reads"}
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
ACTOR = "NIGHTPROOF_ACTOR"
"""Set for a command that somebody else has already written down, with who had it done."""
HANDED_OVER = "NIGHTPROOF_SETTINGS"
"""Set for an isolated attempt: the settings that its parent found, as JSON, in place of files."""


_PUBLIC = re.compile(
    r"(https?://[A-Za-z0-9._-]+(:\d{1,5})?)?|https?://\[[0-9A-Fa-f:.]+\](:\d{1,5})?"
)
_PASSWORD = re.compile(
    r"(?<=://)([^\s/@:?#]*):[^\s/?#]*@"
    r"|([?&;](?:[a-z_]*(?:password|secret|token|passphrase)[a-z_]*|sas|sig|key)=)[^&;#\s]*",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """`text` with ``***`` in place of the password of every URL in it."""
    # The last @ before the path ends the password, which may hold others.
    return _PASSWORD.sub(lambda found: found[2] + "***" if found[2] else f"{found[1]}:***@", text)


def keys_folder(given: str = "") -> Path:
    """Where keys are: `given`, or ``nightproof`` in the user's configuration folder."""
    if given:
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - must not raise without a home
    return Path(base) / "nightproof"


def load(
    folder: Path | None = None, environ: Mapping[str, str] | None = None, **flags: Any
) -> Settings:
    """The settings in force in `folder` (default: the working folder).

    Raises ConfigError that names the setting and where it came from.
    """
    environ = os.environ if environ is None else environ
    handed = environ.get(HANDED_OVER)
    merged = _read_over(handed) if handed else _from_files(folder or Path.cwd())
    merged.update(_from_environment(environ))
    merged.update({name: value for name, value in flags.items() if value is not None})
    return Settings(**merged)


def hand_over(settings: Settings) -> str:
    """`settings` as the text that a child process finds in `HANDED_OVER`."""
    import json  # for isolated attempts only

    plain = {name: getattr(settings, name) for name in sorted(_NAMES)}
    return json.dumps(plain, default=lambda one: dict(one) if isinstance(one, Mapping) else [*one])


def _read_over(text: str) -> dict[str, Any]:
    import json

    try:
        return _checked(json.loads(text), HANDED_OVER)
    except (ValueError, AttributeError):
        raise ConfigError(f"{HANDED_OVER} is not what nightproof sets", "Unset it.") from None


def _from_files(folder: Path) -> dict[str, Any]:
    for file, inner in (("nightproof.toml", ()), ("pyproject.toml", ("tool", "nightproof"))):
        path = folder / file
        if not path.is_file():
            continue
        table = _parse(path)
        for key in inner:
            table = table.get(key, {})
        if table:
            return _checked(table, str(path))
    return {}


def _parse(path: Path) -> dict[str, Any]:
    import tomllib  # rarely needed, and it costs start-up time

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in _NAMES:
            raise ConfigError(
                f"{where}: there is no setting '{key}'", f"Known: {', '.join(sorted(_NAMES))}."
            )
        known[name] = value
    return known


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in _NAMES - _TABLES.keys():
        variable = f"NIGHTPROOF_{name.upper()}"
        text = environ.get(variable)
        if not text:
            continue
        if name in _LISTS:
            found[name] = [part.strip() for part in text.split(",") if part.strip()]
        elif name in _NUMBERS:
            try:
                found[name] = float(text)
            except ValueError:
                raise ConfigError(f"{variable}: expected a number, got {text!r}") from None
        elif name in _SWITCHES:
            if text.lower() not in _WORDS:
                raise ConfigError(f"{variable}: expected true or false, got {text!r}")
            found[name] = _WORDS[text.lower()]
        else:
            found[name] = text
    return found

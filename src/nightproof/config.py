"""Settings: frozen, validated once.

Read from ``[tool.nightproof]`` in pyproject.toml or from nightproof.toml, then
from the environment (``NIGHTPROOF_STORE`` for ``store``), then from flags; what
comes later wins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from nightproof.errors import ConfigError

DEFAULT_STORE = "sqlite:///.nightproof/journal.db"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """Everything that can be set; durations in seconds."""

    store: str = DEFAULT_STORE
    """Where the journal is: ``sqlite:///path`` (three slashes relative, four absolute)."""
    blobs: str = ""
    """Where large values are: a folder; default ``blobs`` beside the journal."""
    artifacts: str = ""
    """Where artifacts are: a folder; default ``artifacts`` beside the journal."""
    keys: str = ""
    """Where the key is that signs manifests: a folder; default ``~/.config/nightproof``."""
    durability: Literal["full", "normal"] = "full"
    """"full": a checkpoint survives power loss; "normal": it survives a crash."""
    lease: float = 30.0
    """How long a run stays owned without a heartbeat."""
    park_after: float = 300.0
    """A wait longer than this parks the run, so that its process may leave."""
    grace: float = 10.0
    """How long steps in flight may go on after SIGTERM or Ctrl-C."""
    concurrency: Mapping[str, int] = field(default_factory=dict)
    """Bounds of maps by step name; they win over the code."""
    variables: Sequence[str] = ()
    """Environment variables that results may depend on: names or patterns (``APP_*``).

    They are part of an attempt's snapshot; of what looks like a secret, only the name."""

    def __post_init__(self) -> None:
        for name in ("lease", "park_after", "grace"):
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and 0 < value < float("inf")):
                raise ConfigError(f"{name}: expected a positive number of seconds, got {value!r}")
        if self.durability not in ("full", "normal"):
            raise ConfigError(f"durability: expected 'full' or 'normal', got {self.durability!r}")
        for name in ("store", "blobs", "artifacts", "keys"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name}: expected a text, got {getattr(self, name)!r}")
        if not isinstance(self.concurrency, Mapping):
            raise ConfigError(
                f"concurrency: expected a table of step names, got {self.concurrency!r}",
                "Write [concurrency] and below it `fetch_country = 4`.",
            )
        for step, bound in self.concurrency.items():
            if type(bound) is not int or bound < 1:
                raise ConfigError(f"concurrency.{step}: expected a positive integer, got {bound!r}")
        names: Any = self.variables
        listed = isinstance(names, Sequence) and not isinstance(names, str)
        if not (listed and all(isinstance(name, str) and name for name in names)):
            raise ConfigError(
                f"variables: expected a list of names, got {names!r}",
                'Write variables = ["REGION", "APP_*"].',
            )

    def override(self, **given: Any) -> Settings:
        """A copy with every value of `given` that is not None."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


_NAMES = {item.name for item in fields(Settings)}
VARIABLES = tuple(sorted(f"NIGHTPROOF_{name.upper()}" for name in _NAMES - {"concurrency"}))
"""The environment variables that settings are read from."""
_NUMBERS = {"lease", "park_after", "grace"}


def load(
    folder: Path | None = None, environ: Mapping[str, str] | None = None, **flags: Any
) -> Settings:
    """The settings in force in `folder` (default: the working folder).

    Raises ConfigError that names the setting and where it came from.
    """
    merged: dict[str, Any] = _from_files(folder or Path.cwd())
    merged.update(_from_environment(os.environ if environ is None else environ))
    merged.update({name: value for name, value in flags.items() if value is not None})
    return Settings(**merged)


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
    for name in _NAMES - {"concurrency"}:
        variable = f"NIGHTPROOF_{name.upper()}"
        text = environ.get(variable)
        if not text:
            continue
        if name == "variables":
            found[name] = [part.strip() for part in text.split(",") if part.strip()]
        elif name in _NUMBERS:
            try:
                found[name] = float(text)
            except ValueError:
                raise ConfigError(f"{variable}: expected seconds, got {text!r}") from None
        else:
            found[name] = text
    return found

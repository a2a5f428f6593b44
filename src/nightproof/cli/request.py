"""What ``nightproof run`` was asked for."""

from __future__ import annotations

from typing import NamedTuple

from nightproof.errors import ConfigError, UsageError


class RunRequest(NamedTuple):
    """The arguments of one ``nightproof run``, as typed."""

    target: str
    contract: str
    replicate: bool = False
    effects: bool = False
    strict: bool = False
    concurrency: tuple[str, ...] = ()
    json: bool = False
    engine: str = "embedded"
    isolate: str = "L0"
    store: str | None = None

    def check(self) -> None:
        """Raise UsageError for what this version cannot do, or what makes no sense."""
        if self.engine != "embedded":
            raise UsageError(
                f"--engine {self.engine} is not in this version", "Leave it out: embedded."
            )
        if self.effects and not self.replicate:
            raise UsageError(
                "--effects says what a replicate may do", "Use it together with --replicate."
            )

    def bounds(self) -> dict[str, int]:
        """``STEP=N`` of every --concurrency. Raises ConfigError."""
        found = {}
        for text in self.concurrency:
            step, _, number = text.partition("=")
            if not step or not number.isascii() or not number.isdigit() or int(number) < 1:
                raise ConfigError(
                    f"--concurrency {text}: expected STEP=N", "For example fetch_country=4."
                )
            found[step] = int(number)
        return found

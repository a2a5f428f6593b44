"""What ``nightproof run`` was asked for."""

from __future__ import annotations

from typing import NamedTuple

from nightproof import config
from nightproof.cli.session import isolated
from nightproof.config import Settings
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
    engine: str | None = None
    """None: as the settings say."""
    isolate: str = "L0"
    store: str | None = None
    engine_url: str | None = None

    def check(self) -> None:
        """Raise UsageError for what this version cannot do, or what makes no sense."""
        if self.effects and not self.replicate:
            raise UsageError(
                "--effects says what a replicate may do", "Use it together with --replicate."
            )

    def settings(self) -> Settings:
        """The settings in force, flags included. Raises ConfigError.

        An engine's URL asks for that engine; an isolated attempt is made here.
        """
        engine = self.engine or ("temporal" if self.engine_url is not None else None)
        if isolated() is not None:
            engine = "embedded"
        found = config.load(store=self.store, engine=engine, temporal=self.engine_url)
        if found.engine == "temporal" and self.isolate != "L0":
            raise UsageError(
                f"--isolate {self.isolate} isolates a process of this machine, and on Temporal the "
                "workers do the work",
                "Add --engine embedded, or start the workers in containers.",
            )
        return found

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

"""The demo's second half: one thing changes, and the cause is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nightproof.errors import NightproofError, UsageError

PATIENCE_SECONDS = 60.0
STYLE = "fx-desk.json"
PINNED = "gemini-3.5-flash-002"
DRIFT = 3


class DemoFailed(NightproofError):
    """The demonstration could not go on."""


class Change(NamedTuple):
    """What is changed between two runs, and what has to be found."""

    told: str
    step: str
    """In which step the runs part first."""
    item: str
    """What the evidence has to mention."""


CHANGES = {
    "environment": Change("the machine's time zone is another one", "closing_day", "tz"),
    "context": Change(f"somebody has edited {STYLE} in the configuration", "house_style", STYLE),
    "model": Change(
        f"the provider has put another model behind {PINNED}", "narrate", "gemini-3.5-flash-003"
    ),
    "sampling": Change("nothing: the model does not answer the same twice", "narrate", "narrate"),
}
CAUSES = tuple(CHANGES)


def check(cause: str) -> None:
    """Raise UsageError for a cause that is not known."""
    if cause not in CHANGES:
        raise UsageError(f"--cause {cause}: there is no such cause", f"One of {', '.join(CAUSES)}.")


class Drifting:
    """Two runs of one contract, the second with something changed."""

    def __init__(
        self,
        place: Path,
        example: Path,
        environ: Mapping[str, str],
        cause: str,
        claim: Callable[[str, bool], None],
    ) -> None:
        self._place = place
        self._target = f"{example / 'note.py'}:weekly_note"
        self._cause = cause
        self._change = CHANGES[cause]
        self._claim = claim
        self._config = place / "config"
        self._env = dict(environ) | {"XDG_CONFIG_HOME": str(self._config), "TZ": "CET-1"}
        self.runs: tuple[str, str] = ("", "")

    def act(self, number: int) -> None:
        """All of it, under headings from `number` on."""
        self._config.mkdir(exist_ok=True)
        self._style(".")
        with self._models() as swap:
            print(f"\n{number}. The next night, the same contract: {self._change.told}")
            a = self._run()
            self._alter(swap)
            b = self._run("--replicate")
            self.runs = str(a["run"]), str(b["run"])
            notes = [run["artifacts"][0] for run in (a, b)]
            self._claim(
                f"{Path(notes[1]['path']).name} of {b['run']} is not that of {a['run']}",
                notes[0]["sha256"] != notes[1]["sha256"],
            )
            print(f"\n{number + 1}. nightproof diff {a['run']} {b['run']}")
            named, evidence = self._diff()
            if named is None:
                print(f"\n{number + 2}. nightproof explain {a['run']} {b['run']} --yes")
                named, more = self._explain()
                evidence += more
        self._claim(f"the cause is named: {named or 'none'}", named == self._cause)
        self._claim(f"the evidence mentions {self._change.item}", self._change.item in evidence)

    def _run(self, *options: str) -> dict[str, Any]:
        ran = self._nightproof("run", self._target, "contract.json", "--json", *options)
        if ran.returncode != 0:
            raise DemoFailed(f"the job ended with exit {ran.returncode}: {ran.stderr}")
        return dict(json.loads(ran.stdout))

    def _diff(self) -> tuple[str | None, str]:
        """The cause that the record names, and the evidence; prints what people read."""
        _show(self._nightproof("diff", *self.runs).stdout)
        ran = self._nightproof("diff", *self.runs, "--json")
        document = json.loads(ran.stdout)
        first = document["firstDivergence"] or {}
        self._claim(
            f"exit 3, and they part first in {first.get('step')}",
            ran.returncode == DRIFT and first.get("step") == self._change.step,
        )
        return document["cause"], json.dumps(document["evidence"])

    def _explain(self) -> tuple[str | None, str]:
        ran = self._nightproof("explain", *self.runs, "--yes")
        lines = ran.stdout.splitlines()
        # Its first half is what diff has said already.
        heads = [at for at, line in enumerate(lines) if line.split()[:1] == ["input"]]
        _show("\n".join(lines[heads[0] if heads else 0 :]) or ran.stderr)
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("cause:")]
        cause = named[0].split()[0] if named and named[0] else None
        return cause, ran.stdout

    def _nightproof(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nightproof", *words],
            cwd=self._place,
            env=self._env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )

    def _style(self, decimal: str) -> None:
        text = json.dumps({"decimal": decimal})
        (self._config / STYLE).write_text(text + "\n", "utf-8")

    def _alter(self, swap: Callable[[], None]) -> None:
        if self._cause == "environment":
            self._env["TZ"] = "EST5"
        elif self._cause == "context":
            self._style(",")
        elif self._cause == "model":
            swap()

    @contextmanager
    def _models(self) -> Iterator[Callable[[], None]]:
        """A model server on loopback, where one is needed; gives what swaps the model."""
        if self._cause not in ("model", "sampling"):
            yield lambda: None
            return
        route: dict[str, Any] = {"version": PINNED}
        if self._cause == "sampling":
            route |= {"sampling": 1.0, "seed": "ignored"}
        script = self._place / "models.json"
        script.write_text(_script(route), "utf-8")
        with subprocess.Popen(
            [sys.executable, "-m", "nightproof.testing.models", "--script", str(script)],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as server:
            try:
                assert server.stdout is not None
                line = server.stdout.readline()
                if not line:
                    raise DemoFailed("the model server did not start")
                url = json.loads(line)["url"]
                self._env |= {
                    "GEMINI_API_KEY": "demo",
                    "NIGHTPROOF_GEMINI_BASE_URL": url,
                    "NO_PROXY": "127.0.0.1",
                }
                yield lambda: _put(url, _script({"version": self._change.item}))
            finally:
                server.terminate()


def _script(route: Mapping[str, Any]) -> str:
    return json.dumps({"models": {PINNED: route}})


def _put(url: str, script: str) -> None:
    import urllib.request  # for this one request

    request = urllib.request.Request(  # noqa: S310  the address is this machine's own
        f"{url}/_script", data=script.encode(), method="PUT"
    )
    # Never by way of a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE_SECONDS) as answer:
        answer.read()


def _show(text: str) -> None:
    print("".join(f"   | {line}".rstrip() + "\n" for line in text.rstrip().splitlines()), end="")


def environ_of(store: str, dropped: tuple[str, ...]) -> dict[str, str]:
    """The environment of the demo's processes: the user's, without what would change it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("NIGHTPROOF_") and name not in dropped
    }
    return {**kept, "NIGHTPROOF_STORE": store, "NO_COLOR": "1"}

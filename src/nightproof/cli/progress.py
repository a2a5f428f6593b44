"""Bars on a terminal: items done of how many, rate, time left, retries, waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from nightproof.model import clock

FRAME_SECONDS = 0.125
WAITS_SHOWN = 3


class Counter(Protocol):
    """How far one step has come."""

    @property
    def total(self) -> int | None: ...
    @property
    def done(self) -> int: ...
    @property
    def replayed(self) -> int: ...
    @property
    def retries(self) -> int: ...


class Source(Protocol):
    """How far a run has come."""

    @property
    def steps(self) -> Mapping[str, Counter]: ...
    @property
    def waiting(self) -> Mapping[int, str]: ...


class Pace(ProgressColumn):
    """Items a second of this attempt, and how long the rest will take."""

    def render(self, task: Task) -> Text:
        new = task.completed - int(task.fields.get("replayed", 0))
        elapsed = task.elapsed or 0.0
        if new <= 0 or elapsed <= 0 or task.finished:
            return Text("")
        rate = new / elapsed
        told = f"{rate:,.1f}/s"
        if task.remaining:
            told += f"  {clock_time(task.remaining / rate)} left"
        return Text(told, style="cyan")


def clock_time(seconds: float) -> str:
    """A duration as h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


class Bars:
    """A live display of counters on stderr."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            Pace(),
            TextColumn("{task.fields[note]}", style="yellow"),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}

    def live(self) -> Live:
        """The display as a context manager; it disappears at the end."""
        return Live(
            self._group({}),
            console=self._console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
        )

    def update(self, live: Live, source: Source) -> None:
        """Show the counters as they are now."""
        singles = done = 0
        for name, counter in list(source.steps.items()):
            if counter.total is None:
                singles, done = singles + 1, done + counter.done
                continue
            self._bar(name, counter)
        live.update(self._group(source.waiting, singles, done), refresh=True)

    def _bar(self, name: str, counter: Counter) -> None:
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = self._progress.add_task(name, total=None, note="")
        retries = f"{counter.retries} retries" if counter.retries else ""
        self._progress.update(
            task,
            total=counter.total,
            completed=counter.done,
            note=retries,
            replayed=counter.replayed,
        )

    def _group(self, waiting: Mapping[int, str], singles: int = 0, done: int = 0) -> Group:
        head = Text(self._name, style="bold")
        if singles:
            head.append(f"  {done} single steps done", style="dim")
        reasons = sorted(set(waiting.values()))
        lines = [Text(f"waits: {reason}", style="yellow") for reason in reasons[:WAITS_SHOWN]]
        if len(reasons) > WAITS_SHOWN:
            lines.append(Text(f"… and {len(reasons) - WAITS_SHOWN} more", style="yellow"))
        return Group(head, self._progress, *lines)


async def follow(source: Source, name: str, over: Callable[[], bool] = lambda: False) -> None:
    """Show `source` until the task is cancelled or `over` says so."""
    bars = Bars(name)
    with bars.live() as live:
        while not over():
            bars.update(live, source)
            await clock.sleep(FRAME_SECONDS)

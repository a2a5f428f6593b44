"""The commands and their options, as typer describes them; the work is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nightproof.cli import (
    alert_commands,
    demo_commands,
    drift_commands,
    engine_commands,
    manifest_commands,
    night_commands,
    store_commands,
)
from nightproof.cli.contract_commands import contract_app
from nightproof.cli.env_commands import env_app
from nightproof.cli.key_commands import keys_app
from nightproof.cli.narrowing import narrowed
from nightproof.cli.options import (
    After,
    Debug,
    Engine,
    EngineUrl,
    Given,
    Isolate,
    Json,
    Limit,
    RunName,
    Store,
    Target,
    end,
    given,
    names,
    session,
    show_version,
)
from nightproof.cli.prompt_commands import prompts_app
from nightproof.cli.request import RunRequest
from nightproof.cli.session import set_debug

app = typer.Typer(
    name="nightproof",
    help="Nightly jobs that finish despite crashes, act once, and say why when they differ.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(contract_app, name="contract")
app.add_typer(env_app, name="env")
app.add_typer(keys_app, name="keys")
app.add_typer(prompts_app, name="prompts")


def invoke(arguments: Sequence[str]) -> int:
    """Carry out a command line; its exit code."""
    try:
        ended = narrowed(app, arguments)(
            list(arguments), prog_name="nightproof", standalone_mode=True
        )
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return ended if isinstance(ended, int) else 0


@app.callback()
def common(
    store: Store = None,
    debug: Debug = False,
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=show_version)
    ] = False,
) -> None:
    """Options before the name of a command count for it too."""
    del version
    given.store = store
    set_debug(debug)


@app.command()
def run(
    target: Target,
    contract: Given,
    replicate: Annotated[
        bool, typer.Option("--replicate", help="A deliberate fresh run of the same contract.")
    ] = False,
    effects: Annotated[
        bool, typer.Option("--effects", help="The replicate performs effects with new keys.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse results that other code recorded.")
    ] = False,
    concurrency: Annotated[
        list[str] | None, typer.Option("--concurrency", metavar="STEP=N", help="Bound a map.")
    ] = None,
    json: Json = False,
    engine: Engine = None,
    engine_url: EngineUrl = None,
    isolate: Isolate = "L0",
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Run a job, or go on with it.

    Exit 0 done, 1 failed, 2 bad input, 75 parked or interrupted.
    """
    from nightproof.cli import running

    request = RunRequest(
        target, contract, replicate, effects, strict, tuple(concurrency or ()), json, engine,
        isolate, session(store, debug, json).store, engine_url,
    )  # fmt: skip
    end(running.run(request))


@app.command()
def resume(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="Default: the only one that can go on.", autocompletion=names
        ),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every run that can go on now and nobody works on.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse results that other code recorded.")
    ] = False,
    isolate: Isolate | None = None,
    engine: Engine = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Go on with a run that crashed, parked or failed: where, and at what level, it was before."""
    from nightproof.cli import resuming

    end(resuming.resume(session(store, debug, json), run, all_, strict, isolate, engine))


@app.command()
def runs(
    job: Annotated[str | None, typer.Option("--job", help="Only runs of this job.")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help="running, parked, completed, failed or cancelled."),
    ] = None,
    contains: Annotated[
        str, typer.Option("--contains", help="Only with this in the name or the contract.")
    ] = "",
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Created then or later; or a day.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Created before; or a day.")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="Neither child runs nor replicates.")] = False,
    before: Annotated[
        int | None, typer.Option("--before", min=1, help="Go on with older ones.")
    ] = None,
    limit: Limit = 30,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """List the runs, newest first."""
    from nightproof.cli import reading

    common = session(store, debug, json)
    ended = reading.runs(
        common, job, status or [], limit, contains=contains, since=since, until=until, own=own,
        before=before,
    )  # fmt: skip
    end(ended)


@app.command()
def show(run: RunName, json: Json = False, store: Store = None, debug: Debug = False) -> None:
    """Show one run, and what to do next."""
    from nightproof.cli import reading

    end(reading.show(session(store, debug, json), run))


@app.command()
def steps(
    run: RunName,
    step: Annotated[str | None, typer.Option("--step", help="Only this step.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed.")] = False,
    limit: Limit = 50,
    after: After = -1,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """List a run's steps and items."""
    from nightproof.cli import reading

    end(reading.steps(session(store, debug, json), run, step, failed, limit, after))


@app.command()
def logs(
    run: RunName,
    steps: Annotated[bool, typer.Option("--steps", help="A line for every result too.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Only the last so many.")
    ] = 500,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Show what happened: attempts, crashes, retries, waits."""
    from nightproof.cli import reading

    end(reading.logs(session(store, debug, json), run, steps, limit))


@app.command()
def watch(
    run: RunName,
    interval: Annotated[
        float, typer.Option("--interval", min=0.05, help="Seconds between two looks.")
    ] = 0.5,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Follow a run until it ends.

    Exit 0 completed, 1 failed or cancelled, 75 parked or left by its process.
    """
    from nightproof.cli import watching

    end(watching.watch(session(store, debug, json), run, interval))


@app.command()
def cancel(run: RunName, json: Json = False, store: Store = None, debug: Debug = False) -> None:
    """Cancel a run.

    Its process ends it; where there is none, it is cancelled at once.
    """
    from nightproof.cli import deciding

    end(deciding.cancel(session(store, debug, json), run))


@app.command()
def resolve(
    run: RunName,
    effect: Annotated[str, typer.Argument(metavar="EFFECT", help="Its key, or its name.")],
    result: Annotated[
        str | None,
        typer.Argument(
            metavar="[RESULT]", help="With --happened: its result, JSON; - reads it from stdin."
        ),
    ] = None,
    happened: Annotated[
        bool, typer.Option("--happened", help="It happened; the run takes RESULT for it.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="It did not happen; try it.")] = False,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Decide an effect whose outcome a crash has hidden."""
    from nightproof.cli import deciding

    end(deciding.resolve(session(store, debug, json), run, effect, result, happened, retry))


@app.command()
def signal(
    run: RunName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the run waits for.")],
    payload: Annotated[
        str,
        typer.Argument(
            metavar="[JSON]", help="What it is told; default null; - reads it from stdin."
        ),
    ] = "null",
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Send a signal to a run; it is kept until the run takes it."""
    from nightproof.cli import deciding

    end(deciding.signal(session(store, debug, json), run, name, payload))


@app.command()
def verify(
    target: Annotated[
        str,
        typer.Argument(metavar="FILE|RUN", help="An artifact, its manifest, or a run."),
    ],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="PUB", help="The public key that must have signed it."),
    ] = None,
    json: Json = False,
    store: Store = None,
    debug: Debug = False,
) -> None:
    """Check artifacts against their manifests.

    A run's also against the journal. Exit 0 as it should be, 2 no manifest, 3 something differs.
    """
    from nightproof.cli import verifying

    end(verifying.verify(session(store, debug, json), target, key))


@app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where; made if new.")
    ] = Path(),
    debug: Debug = False,
) -> None:
    """Write a small project that runs at once."""
    from nightproof.cli import starting

    session(None, debug)
    end(starting.init(folder))


@app.command()
def drill(
    target: Target,
    contract: Given,
    everything: Annotated[
        bool, typer.Option("--everything", help="Every item of every map.")
    ] = False,
    point: Annotated[
        list[str] | None, typer.Option("--point", metavar="PATTERN", help="Only such points.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Draws the sample.")] = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, help="Cases at once.")] = 2,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.1, help="Seconds for one child.")
    ] = None,
    folder: Annotated[str | None, typer.Option("--dir", help="Where to work.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep journals and artifacts.")] = False,
    outside: Annotated[
        str | None,
        typer.Option("--outside", metavar="FILE.py:NAME", help="Makes what each case acts on."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Kill a job at every crash point and compare.

    Each case is resumed and compared with an undisturbed run.
    """
    from nightproof.cli import drills

    session(None, debug)
    how = (everything, tuple(point or ()), limit, seed, parallel, timeout, folder, keep)
    end(drills.drill(target, contract, how, outside, json))


demo_commands.register(app)
drift_commands.register(app)
manifest_commands.register(app)
night_commands.register(app)
alert_commands.register(app)
store_commands.register(app)
engine_commands.register(app)


def options_of(command: str) -> set[str]:
    """The names of a command's options."""
    group: Any = typer.main.get_command(app)
    return {
        name for option in group.commands[command].params for name in option.opts if name[0] == "-"
    }

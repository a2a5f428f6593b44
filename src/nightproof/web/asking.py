"""What a page asks before something is done: what will happen, and with which command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from nightproof.errors import NotFound
from nightproof.journal.records import RunRow
from nightproof.views import open_run
from nightproof.views.actions import (
    Act,
    effect_of,
    folder,
    isolation,
    signals,
    targets,
    undecided,
    why_not,
    why_not_resolve,
)
from nightproof.views.effects import EffectView, effect_view
from nightproof.views.runs import shell
from nightproof.views.schedules import EARLIEST, within
from nightproof.views.trying import alive
from nightproof.views.values import typed
from nightproof.web.acting import Plan
from nightproof.web.rendering import url
from nightproof.web.site import Site

MOST_BYTES = 100_000
"""Of what is given on a command line: the kernel allows little more for one word."""
_UNSEEN = (
    "What you type reaches the command through its standard input (-), where nobody else on this "
    "machine reads it; the run keeps it, the audit trail its digest."
)
ASKED_TWICE, MOST_TIMES = 31, 1000
"""A backfill of more times than the first is asked for twice; more than the second are not counted."""
Fields = Mapping[str, str]


@dataclass
class Asked:
    """A page: `refused` says why nothing can be done, `error` what is wrong with what was typed.

    `given` is what the form's fields hold, `hidden` what it sends along. `commands` are those
    that the form can give, each with what it is for.
    """

    what: str
    heading: str
    button: str
    about: str = ""
    back: str = "/"
    danger: bool = False
    says: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    commands: list[tuple[str, str]] = field(default_factory=list)
    hidden: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    effect: EffectView | None = None
    schedules: list[tuple[str, str]] = field(default_factory=list)
    refused: str = ""
    error: str = ""
    plan: Plan | None = None

    def offer(self, plan: Plan, chosen: bool = True, label: str = "") -> None:
        """Add a command; the one that was `chosen` is carried out."""
        self.commands.append((label, plan.command))
        if chosen:
            self.plan = plan


async def _run(site: Site, fields: Fields) -> tuple[RunRow, str]:
    """The run that was asked for, by its whole name, and the address of its page."""
    name = fields.get("run", "")
    row = await open_run(site.journal, name)
    if row.name != name:
        raise NotFound(f"there is no run '{name}'", f"There is {row.name}.")
    return row, url("/runs/{}", row.name)


def _asked(act: Act, row: RunRow, back: str, heading: str, button: str) -> Asked:
    return Asked(
        act, heading, button, row.name, back, hidden={"run": row.name}, refused=why_not(act, row)
    )


async def resume(site: Site, fields: Fields) -> Asked:
    """Go on with a run."""
    row, back = await _run(site, fields)
    asked = _asked("resume", row, back, "Resume the run", "Resume")
    asked.says.append(
        "The run goes on in a process of its own. What is on record is not done again; steps that "
        "failed are tried again."
    )
    if row.waiting:
        asked.says.append(f"It waits for {row.waiting}. Unless that has come, it parks again.")
    if row.status == "cancelled":
        asked.says.append("It was cancelled; this takes that back.")
    doubt = await undecided(site.journal, row)
    if doubt:
        asked.warnings.append(
            f"It is not known whether {', '.join(doubt[:3])} happened. An effect that is held "
            "waits for a decision first."
        )
    asked.offer(Plan("resume", row.name, ("resume", "--", row.name), back, long=True))
    return asked


async def cancel(site: Site, fields: Fields) -> Asked:
    """End a run."""
    row, back = await _run(site, fields)
    asked = _asked("cancel", row, back, "Cancel the run", "Cancel the run")
    asked.danger = True
    if alive(row):
        owner = row.owner.label if row.owner else "its process"
        asked.says.append(f"{owner} is asked to end the run. Steps under way may be cut off.")
    else:
        asked.says.append("No process works on the run: it is cancelled at once.")
    asked.says.append(
        "Its child runs are cancelled too. What is on record stays, and a resume goes on with it."
    )
    if row.cancel:
        asked.warnings.append("This was asked for already.")
    asked.offer(Plan("cancel", row.name, ("cancel", "--", row.name), back))
    return asked


async def replicate(site: Site, fields: Fields) -> Asked:
    """Run the same contract afresh."""
    row, back = await _run(site, fields)
    asked = _asked("replicate", row, back, "Replicate the run", "Make a replicate")
    asked.says.append(
        "The same contract is run afresh, as a run beside this one that can be compared with it. "
        "Every step is done again."
    )
    effects = fields.get("effects") == "on"
    asked.given["effects"] = "on" if effects else ""
    asked.warnings.append(
        "With its effects, the replicate acts on the world: it performs every effect whose key is "
        "new. What is on record under its key is never done again. Without, all are withheld."
    )
    level = isolation(row)
    how = ["--isolate", level] if level != "L0" else []
    for chosen, label in ((False, "without effects"), (True, "with its effects")):
        words = (
            "run",
            "--replicate",
            *(["--effects"] if chosen else []),
            *how,
            "--",
            row.target,
            "-",
        )
        plan = Plan("replicate", row.name, words, back, True, row.contract, folder(row))
        asked.offer(plan, chosen is effects, label)
    asked.says.append(
        "The commands below read the run's contract from their standard input. Without effects, "
        f"this does the same and compares: nightproof reproduce --times 1 {shell(row.name)}"
    )
    return asked


async def resolve(site: Site, fields: Fields) -> Asked:
    """Decide an effect."""
    row, back = await _run(site, fields)
    key = fields.get("effect", "")
    found = await effect_of(site.journal, row, key)
    asked = _asked("resolve", row, back, "Decide an effect", "Decide")
    asked.refused = why_not_resolve(row, found)
    asked.effect = effect_view(found, row)
    asked.hidden["effect"] = key
    decision, result = fields.get("decision", ""), fields.get("result", "").strip()
    asked.given.update(decision=decision, result=result)
    asked.says.append(
        f"'{found.name}' was begun, and nobody knows whether it happened. Look where it would have "
        "happened, then decide. A parked run goes on then: nightproof serve resumes it."
    )
    asked.warnings.append(
        "If it did happen and you have it tried again, it happens twice. If it did not and you "
        "take it as done, it never happens."
    )
    asked.says.append(_UNSEEN)
    happened = Plan(
        "resolve", row.name, ("resolve", "--happened", "--", row.name, key, *_dash(result)), back,
        given=_recorded(result),
    )  # fmt: skip
    retry = ("resolve", "--retry", "--", row.name, key)
    asked.offer(happened, decision == "happened", "it happened")
    asked.offer(Plan("resolve", row.name, retry, back), decision == "retry", "it did not")
    if asked.plan is None:
        asked.error = "Choose one of the two."
    elif decision == "happened" and result:
        asked.error = _wrong_json(result, "The result")
    return asked


async def signal(site: Site, fields: Fields) -> Asked:
    """Tell a run something."""
    row, back = await _run(site, fields)
    asked = _asked("signal", row, back, "Send a signal", "Send")
    open_now = signals(row)
    names = [one.name for one in open_now]
    name = fields.get("name", names[0] if len(names) == 1 else "")
    payload = fields.get("payload", "null").strip() or "null"
    asked.given.update(name=name, payload=payload)
    known = [f"{one.name} ({one.expects})" if one.expects else one.name for one in open_now]
    waits = f"It waits for: {', '.join(known)}." if names else "It does not wait for a signal now."
    asked.says.append(f"The signal is kept until the run takes it. {waits}")
    asked.says.append(_UNSEEN)
    asked.warnings += [
        f"What came last for '{one.name}' did not fit and was put aside: {one.misfit}."
        for one in open_now
        if one.misfit
    ]
    if names and name and name not in names:
        asked.warnings.append(f"The run does not wait for '{name}' now.")
    told = "" if payload == "null" else payload
    words = ("signal", "--", row.name, name, *_dash(told))
    asked.offer(Plan("signal", row.name, words, back, given=_recorded(told)))
    asked.error = _wrong_json(payload, "The payload") if name else "A signal has a name."
    if len(name.encode()) > MOST_BYTES:
        asked.error = "That name is too long."
    return asked


async def backfill(site: Site, fields: Fields) -> Asked:
    """Run the nights of a range."""
    known = await targets(site.journal)
    name = fields.get("schedule", next(iter(known)) if len(known) == 1 else "")
    first, last = fields.get("from", "").strip(), fields.get("to", "").strip()
    asked = Asked("backfill", "Run missed nights", "Run them", name, "/schedule")
    asked.schedules = [("", "choose one"), *((one, one) for one in known)]
    asked.given.update({"schedule": name, "from": first, "to": last})
    if name and name not in known:
        raise NotFound(f"there is no schedule '{name}'", "The page Schedule lists them.")
    if not known:
        asked.refused = "no schedule was ever served from this store"
        return asked
    asked.says.append(
        "Every time from the first to the last day that has not completed is run, one after the "
        "other, in processes of their own. Days are those of the schedule's zone, both included. "
        "What failed is tried again; what completed stays as it is."
    )
    asked.warnings.append("These runs perform their effects, as they would have at their time.")
    asked.error = _wrong_days(first, last) if name else "Choose a schedule."
    if not asked.error:
        asked.error = await _too_many(site, asked, fields, name, first, last)
    if not asked.error:
        days = (f"--from={first}", f"--to={last}", f"--name={name}")
        asked.offer(
            Plan(
                "backfill",
                "",
                ("schedule", "backfill", *days, "--", known[name]),
                "/schedule",
                True,
            )
        )
    return asked


async def _too_many(
    site: Site, asked: Asked, fields: Fields, name: str, first: str, last: str
) -> str:
    """Say how many times these days have; what is wrong where it is none, or very many.

    A mistyped year must not become a thousand nights: many are asked for twice.
    """
    days = date.fromisoformat(first), date.fromisoformat(last)
    count = len(await within(site.journal, name, *days, most=MOST_TIMES + 1))
    told = f"{count:,} time{'s' if count != 1 else ''}"
    told = f"more than {MOST_TIMES:,} times" if count > MOST_TIMES else told
    if not count:
        return f"{name} was not due in these days; what is yet to come is not run."
    asked.says.append(f"These days have {told}.")
    asked.hidden["sure"] = f"{first}/{last}"
    if count > ASKED_TWICE and fields.get("sure") != asked.hidden["sure"]:
        return f"These days have {told}. To have all of them run, press the button again."
    return ""


def _wrong_days(first: str, last: str) -> str:
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return "Give both days, like 2026-10-15."
    if begin < EARLIEST:
        return "The first day is too long ago."
    return "The last day is before the first." if end < begin else ""


def _dash(text: str) -> tuple[str, ...]:
    """The word for what a command reads: its arguments can be read by everybody."""
    return ("-",) if text else ()


def _recorded(text: str) -> bytes | None:
    """What a command reads, as it goes on record; as it is, where it is no JSON."""
    try:
        return typed(text) if text else None
    except ValueError:
        return text.encode()


def _wrong_json(text: str, what: str) -> str:
    try:
        typed(text)
    except ValueError as error:
        return f'{what} is not JSON: {error}. Text needs quotes: "text".'
    return ""


ASKED: dict[str, Callable[[Site, Fields], Awaitable[Asked]]] = {
    "resume": resume, "cancel": cancel, "replicate": replicate, "resolve": resolve,
    "signal": signal, "backfill": backfill,
}  # fmt: skip

"""Effects of every policy."""

from __future__ import annotations

import asyncio
from typing import Any

from conforming.world import Case, diary, last, note, on, tell
from nightproof import NotDone, Retry, StepFailed, Transient, effect, idempotency_key, job, step

QUICK = Retry(attempts=3, base=0.0)


def act(case: str, text: str) -> dict[str, str]:
    """The act on the world: a line in the diary."""
    if on(case, "unclear"):
        before = diary(case)
        tell(case, f"acted {text} {idempotency_key()}")
        if len(before) < 1:
            raise Transient("connection reset")
    else:
        tell(case, f"acted {text} {idempotency_key()}")
    return {"text": text}


@effect(key="held/{case}", retry=QUICK)
async def held(case: str, text: str) -> dict[str, str] | None:
    """A person decides."""
    return act(case, text)


@effect(key="skipped/{case}", unknown="skip", retry=QUICK)
async def skipped(case: str, text: str) -> dict[str, str] | None:
    """At most once."""
    return act(case, text)


@effect(key="retried/{case}", unknown="retry", retry=QUICK)
def retried(case: str, text: str) -> dict[str, str]:
    """The provider deduplicates; a plain function."""
    return act(case, text)


async def find(case: str, text: str) -> dict[str, str] | None:
    """Ask the world."""
    found = any(line.startswith(f"acted {text}") for line in diary(case))
    tell(case, f"asked {found}")
    return {"text": "found"} if found else None


@effect(key=lambda case: f"probed/{case}", unknown=find, retry=QUICK)
async def probed(case: str, text: str) -> dict[str, str]:
    """Looked up."""
    return act(case, text)


EFFECTS: dict[str, Any] = {
    "held": held,
    "skipped": skipped,
    "retried": retried,
    "probed": probed,
}


@job
async def posts(contract: Case) -> dict[str, str] | None:
    """Performs the effect that its contract names, with its number as the text."""
    name = contract.names[0]
    got: dict[str, str] | None = await EFFECTS[name](contract.case, f"hello {contract.n}")
    await last(contract.case)
    return got


@effect(key="side/{case}")
async def beside(case: str, n: int) -> int:
    """Takes a moment."""
    tell(case, f"acted {n}")
    await asyncio.sleep(0.05)
    return n


@job
async def at_once(contract: Case) -> list[int]:
    """One key several times at once."""
    return list(await asyncio.gather(*(beside(contract.case, 7) for _ in range(3))))


@job
async def elsewhere(contract: Case) -> int:
    """The same key as another job's."""
    return await beside(contract.case, 7)


@step
async def does(case: str) -> str:
    """A step with an effect in it."""
    sent = await held(case, "inside") or {}
    tell(case, "behind")
    return sent["text"]


@job
async def inside(contract: Case) -> str:
    """The step runs again after a crash, its effect does not."""
    return await does(contract.case)


@effect(key="archived/{case}", retry=QUICK)
async def archived(case: str) -> int:
    """Certainly not done."""
    tell(case, "tried")
    if not on(case, "well"):
        raise NotDone("the channel is archived")
    return 1


@job
async def not_done(contract: Case) -> int:
    """Fails without doubt."""
    return await archived(contract.case)


class TooMany(Exception):
    """The server says that it did nothing."""

    status_code = 429
    headers = {"retry-after": "0"}  # noqa: RUF012 - as HTTP clients have it


@effect(key="busy/{case}", retry=QUICK)
async def busy(case: str) -> int:
    """Refused twice."""
    tell(case, "tried")
    if len(diary(case)) < 3:
        raise TooMany("slow down")
    return 1


@job
async def refused(contract: Case) -> int:
    """May be tried again under every policy."""
    return await busy(contract.case)


@effect(key="failing/{case}", unknown="retry", retry=QUICK)
async def failing(case: str) -> int:
    """Never works."""
    tell(case, "tried")
    raise Transient("reset")


@job
async def gives_up(contract: Case) -> int:
    """The failure is caught, and reads the same on replay."""
    try:
        await failing(contract.case)
    except StepFailed as failure:
        await note(contract.case, f"{failure} {failure.key} {len(failure.attempts)}")
    return await last(contract.case)


@step
async def today(case: str) -> str:
    """What a replicate may find changed."""
    return "bye" if on(case, "later") else "hello"


@effect(key="report/{case}")
async def report(case: str, text: str) -> str:
    """The report of a night."""
    tell(case, f"report {text}")
    return f"sent {text}"


@effect(key="extra/{case}")
async def extra(case: str) -> str:
    """An act that only a later replicate comes to."""
    tell(case, "extra")
    return "extra"


@job
async def reports(contract: Case) -> list[str | None]:
    """A replicate may differ in what it would send."""
    text = await today(contract.case)
    sent: list[str | None] = [await report(contract.case, text if contract.n else "same")]
    if text == "bye":
        sent.append(await extra(contract.case))
    return sent


@effect(key="long/{case}")
async def long(case: str) -> str:
    """Is under way until the test lets it end."""
    tell(case, "acting")
    while not on(case, "let it end"):  # noqa: ASYNC110 - another process switches it on
        await asyncio.sleep(0.02)
    return "done"


@job
async def takes_long(contract: Case) -> str:
    """An effect that somebody meets in the middle."""
    return await long(contract.case)

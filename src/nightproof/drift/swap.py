"""Experiments that turn *consistent with* into *proved by swap*, and what they prove.

First the floor: the divergent step as run B had it, several times, with nothing changed.

varies   The outcomes differ. A factor that was put back to run A's state and then gave
         A's outcome where the floor did not (Fisher's exact test, one-sided, p <= 0.05)
         is proved. Else, what makes the step stand still is the cause: a fixed hash
         seed is environment, a clock that is held still context. If nothing does, it is
         sampling, proved by A/A runs.
like B   One arm for each factor that differs and can be put back: if that gives A's
         outcome where the floor gave B's, its cause is proved. Else the floor goes on,
         as long as a run is cheap, because a step that seldom varies looks stable; if it
         varies now, it is sampling. Else it is a matter of elimination (below).
like A   What made B another one is not there today, or B was the odd one: the floor
         goes on until a run differs, which is sampling. Else nothing is proved.
other    As "like B"; arms also put back what can only be staged for both, like the time.

Elimination names a cause without proving it: the only one that the record is consistent
with and of which something differs that no arm could put back; else the model, where it
was asked the same and answered another thing, or where it may have changed behind its
name; else context, where hosts answered or where the record excludes all the rest, for
no witness sees everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from nightproof.drift.factors import FIXED_SEED, Factor, Facts, Staging, held_still
from nightproof.drift.goal import Outcome
from nightproof.drift.statistics import CONFIDENCE, fisher_exact
from nightproof.drift.verdict import (
    CAUSES,
    CONSISTENT,
    EXCLUDED,
    NOT_TESTABLE,
    PROVED,
    Evidence,
    Judgement,
)

CHEAP_SECONDS = 0.5
"""A step that takes no longer is run often."""
MORE, FEW = 60, 20
"""So many runs the floor goes on for, of a cheap step and of one that takes a little longer."""
BATCH, SHARED = 30, 15
"""So many runs the floor goes on by at a time, and so many of them share a process."""
ALONE = 5
"""More factors than this are first tried all together."""
FLOOR_MOST, ARM_MOST = 24, 48
"""So many runs of either kind decide at most whether something makes a step stand still."""


class Run(Protocol):
    """Runs experiments."""

    async def __call__(self, staging: Staging, runs: int, together: int) -> list[Outcome]:
        """`runs` outcomes; `together` of them share a process, forked after its imports."""
        ...


@dataclass
class Experiment:
    """One arm: what was put back, and how its runs ended; the floor has no factor and no p."""

    factor: str
    cause: str | None
    outcomes: list[Outcome]
    p: float | None = None

    def count(self, like: str) -> int:
        """How many of its runs ended like that."""
        return sum(one.like == like for one in self.outcomes)

    @property
    def odd(self) -> int:
        """How many of its runs did not end as most did."""
        values = Counter(one.value for one in self.outcomes)
        return len(self.outcomes) - max(values.values(), default=0)

    def document(self) -> dict[str, Any]:
        """The experiment in ``explain --json``."""
        return {
            "factor": self.factor,
            "cause": self.cause,
            "runs": len(self.outcomes),
            "likeA": self.count("A"),
            "likeB": self.count("B"),
            "other": self.count("other"),
            "p": self.p,
        }


@dataclass
class Explanation:
    """What the experiments say; `remarks` are sentences for people."""

    judgement: Judgement
    experiments: list[Experiment] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def most(facts: Facts, runs: int) -> tuple[int, int]:
    """How many runs there will be, at least and at most, with `runs` in an arm."""
    arms = sum(not one.weak or one.b is not None for one in facts.factors) + 2
    floor = runs * (2 if facts.hash_random else 1)
    return runs, floor + arms * runs + _further(facts) + FLOOR_MOST


def _further(facts: Facts) -> int:
    if facts.took <= CHEAP_SECONDS:
        return MORE
    return FEW if facts.took <= CHEAP_SECONDS * 10 else 0


class Swaps:
    """The experiments about one drift.

    `told` hears of each when it is over; `used` names the packages, of those that
    differ, which the experiments had in memory after the step.
    """

    def __init__(
        self,
        facts: Facts,
        judgement: Judgement,
        run: Run,
        runs: int,
        told: Callable[[Experiment], None] = lambda _: None,
        used: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._facts = facts
        self._record = judgement
        self._run = run
        self._runs = runs
        self._told = told
        self._used = used
        self._floor = Experiment("nothing", None, [])
        self._swapped: set[str] = set()
        self._failed: set[str] = set()
        self._jointly: set[str] = set()
        self._untried: set[str] = set(facts.untested)
        self.found = Explanation(judgement)

    async def explain(self) -> Explanation:
        """Make them, and judge."""
        floor = self._floor
        self.found.experiments.append(floor)
        await self._more_floor(self._runs)
        self._told(floor)
        if self._broken() and self._facts.base.files:
            # Where files cannot be staged at all, the arms that need none still can tell.
            self.found.remarks.append(f"what B read is as it is today: {self._broken()}")
            self._facts = replace(self._facts, base=replace(self._facts.base, files={}))
            floor.outcomes.clear()
            await self._more_floor(self._runs)
        if errors := self._broken():
            self.found.remarks.append(f"the step cannot be run again here: {errors}")
            return self.found
        await self._arms()
        if len(self._swapped) == 1:
            return self._proved(next(iter(self._swapped)))
        if self._swapped or self._jointly:
            return self._several()
        if not floor.odd:
            await self._go_on()
        if floor.odd:
            return await self._varies()
        if floor.count("A"):
            self.found.remarks.append(
                f"today {floor.count('A')} of {len(floor.outcomes)} runs give what A gave: what "
                "made B another one is not there any more"
            )
            return self.found
        return self._eliminate()

    async def _more_floor(self, runs: int, together: int = 1, fixed: bool = False) -> None:
        base = self._facts.base
        together = together if fixed or not self._facts.hash_random else 1
        staging = Staging(variables=FIXED_SEED).over(base) if fixed else base
        self._floor.outcomes += await self._run(staging, runs, together)

    def _broken(self) -> str:
        errors = [one.error for one in self._floor.outcomes]
        return errors[0] if all(errors) else ""

    async def _arms(self) -> None:
        """Put back one factor at a time."""
        strong = [one for one in self._facts.factors if not one.weak]
        weak = [one for one in self._facts.factors if one.weak and one.b is None]
        clocks = [one for one in self._facts.factors if one.weak and one.b is not None]
        if len(strong) > ALONE:
            if not await self._swaps(_joined("all that differs together", strong)):
                self._failed |= {one.cause for one in strong}
                strong = []
            self._swapped.clear()
        for factor in strong:
            await self._swaps(factor)
        if self._swapped or self._floor.odd:
            return
        for factor in clocks:
            await self._swaps(factor)
        if not self._swapped and len(weak) + len(strong) > 1:
            every = [*strong, *weak]
            causes = {one.cause for one in every}
            if await self._swaps(_joined("all that differs together", every)):
                self._jointly = causes
            else:
                self._failed |= causes
        elif not self._swapped and weak:
            await self._swaps(weak[0])

    async def _swaps(self, factor: Factor) -> bool:
        """Whether putting `factor` back to A's state, or to B's, brings that run's outcome."""
        sides = [("A", factor.a)]
        if factor.b is not None and not self._floor.count("B") and factor.weak:
            sides.append(("B", factor.b))
        for like, staging in sides:
            arm = Experiment(f"{factor.name} as in {like}", factor.cause or None, [])
            while True:
                together = 1 if arm.outcomes else max(1, self._runs // 2)
                arm.outcomes += await self._run(
                    staging.over(self._facts.base), self._runs, together
                )
                hits, misses = arm.count(like), self._floor.count(like)
                arm.p = fisher_exact(
                    hits, len(arm.outcomes) - hits, misses, len(self._floor.outcomes) - misses
                )
                # Where the step varies anyway, or may with a hash seed that the runs of one
                # process share, luck has to be ruled out once more.
                luck = self._floor.odd or self._facts.hash_random
                sure = not luck or len(arm.outcomes) > self._runs
                if arm.p > 1 - CONFIDENCE or sure:
                    break
                await self._more_floor(self._runs)
            self.found.experiments.append(arm)
            self._told(arm)
            if arm.p <= 1 - CONFIDENCE and hits:
                if factor.cause:
                    self._swapped.add(factor.cause)
                    floor = f"{_of(self._floor, like)} with nothing put back"
                    evidence = Evidence(factor.cause, f"swap: {arm.factor}", _of(arm, like), floor)
                    self._record.evidence.append(evidence)
                return True
        if all(one.error for one in arm.outcomes):
            self.found.remarks.append(f"{arm.factor}: {arm.outcomes[0].error}")
            self._untried |= {factor.cause}
        self._failed |= {factor.cause} - {""}
        return False

    async def _go_on(self) -> None:
        """Let the floor go on: what varies seldom looks stable in a few runs."""
        left = _further(self._facts)
        if self._facts.hash_random:  # sets of two come in the same order half of the time
            await self._more_floor(self._runs)
        while left > 0 and not self._floor.odd:
            await self._more_floor(min(BATCH, left), SHARED, fixed=self._facts.hash_random)
            left -= BATCH
        self._told(self._floor)

    async def _varies(self) -> Explanation:
        """The floor is not stable: is there something that makes it so?"""
        facts, base = self._facts, self._facts.base
        clock = next((one.b or one.a for one in facts.factors if one.name == "clock"), Staging())
        still = held_still(base, clock.clock or 0.0)
        fixed = Staging(variables=FIXED_SEED)
        tries = [("clock held still", "context", still)]
        if facts.hash_random:
            tries = [
                ("hash seed fixed", "environment", fixed.over(base)),
                ("clock held still", "context", still),
            ]
        unsure = False
        for name, cause, staging in tries:
            steady = await self._steadies(name, cause, staging)
            if steady:
                return self._proved(cause)
            unsure |= steady is None
        floor = self._floor
        distinct = len({one.value for one in floor.outcomes})
        what = f"{distinct} distinct outcomes in {len(floor.outcomes)} runs"
        self._record.evidence.append(Evidence("sampling", "nothing put back", None, what))
        return self._conclude("sampling", CONSISTENT if unsure else PROVED)

    async def _steadies(self, name: str, cause: str, staging: Staging) -> bool | None:
        """Whether the step stands still so; None where that cannot be told from luck."""
        arm = Experiment(name, cause, [])
        self.found.experiments.append(arm)
        answer: bool | None = None
        while True:
            arm.outcomes += await self._run(staging, 2 * self._runs, 2)
            floor = self._floor
            arm.p = fisher_exact(
                floor.odd, len(floor.outcomes) - floor.odd, arm.odd, len(arm.outcomes) - arm.odd
            )
            if arm.odd:
                answer = False
            elif arm.p <= 1 - CONFIDENCE:
                answer = True
            full = len(arm.outcomes) >= ARM_MOST or self._facts.took > CHEAP_SECONDS
            if answer is not None or full:
                break
            if len(floor.outcomes) < FLOOR_MOST:
                await self._more_floor(self._runs)
        self._told(arm)
        if answer:
            same = f"{len(arm.outcomes)} of {len(arm.outcomes)} the same"
            most = f"{len(floor.outcomes) - floor.odd} of {len(floor.outcomes)} the same without it"
            self._record.evidence.append(Evidence(cause, f"swap: {name}", same, most))
        return answer

    def _eliminate(self) -> Explanation:
        """Nothing is proved and the step is stable: what is left?"""
        facts, verdicts = self._facts, self._record.verdicts
        known = [one for one in CAUSES[:-1] if verdicts[one] == CONSISTENT]
        if facts.idle and not facts.idle.isdisjoint(self._used()):
            self._untried.add("environment")
        elif facts.idle and "environment" not in self._untried:
            # Only packages differ that nothing imports until the step has ended.
            known = [one for one in known if one != "environment"]
        left = [one for one in known if one not in self._failed or one in self._untried]
        if facts.same_request and verdicts["model"] != EXCLUDED:
            return self._left("model", "the same request got another answer")
        if len(left) == 1:
            why = (
                "nothing else was put back with effect" if self._failed else "nothing else differs"
            )
            return self._left(left[0], why)
        if left:
            self.found.remarks.append(f"{', '.join(left)} cannot be told apart here")
            return replace(self.found, judgement=replace(self._record, cause=None))
        if facts.asked and verdicts["model"] != EXCLUDED:
            return self._left("model", f"it asks {', '.join(facts.asked)}")
        if facts.hosts:
            return self._left("context", f"it contacts {', '.join(facts.hosts)}")
        others = [one for one in CAUSES[:-1] if one not in ("context", "environment")]
        if all(verdicts[one] != CONSISTENT for one in others) and "environment" not in left:
            self.found.remarks.append(
                "run both with --isolate L3: it also sees what native code reads"
            )
            return self._left("context", "nothing else on record differs")
        return self.found

    def _left(self, cause: str, why: str) -> Explanation:
        runs = len(self._floor.outcomes)
        same = f"{runs} of {runs} runs the same with nothing put back"
        self._record.evidence.append(Evidence(cause, f"by elimination: {why}", None, same))
        return self._conclude(cause, CONSISTENT)

    def _proved(self, cause: str) -> Explanation:
        return self._conclude(cause, PROVED)

    def _several(self) -> Explanation:
        for cause in self._swapped:
            self._record.verdicts[cause] = PROVED
        names = " and ".join(sorted(self._swapped or self._jointly))
        how = "each bring" if self._swapped else "together bring"
        self.found.remarks.append(f"{names} {how} A's outcome back")
        self.found.judgement = replace(self._record, cause=None)
        return self.found

    def _conclude(self, cause: str, verdict: str) -> Explanation:
        verdicts = {**self._record.verdicts, cause: verdict}
        reasons = {one: why for one, why in self._record.reasons.items() if one != cause}
        if cause != "sampling" and not self._floor.odd:
            verdicts["sampling"] = EXCLUDED if verdict == PROVED else NOT_TESTABLE
        elif cause != "sampling" and verdicts["sampling"] == CONSISTENT:
            verdicts["sampling"] = NOT_TESTABLE
        self.found.judgement = replace(
            self._record, cause=cause, verdicts=verdicts, reasons=reasons
        )
        return self.found


def _joined(name: str, factors: Sequence[Factor]) -> Factor:
    """Several factors as one; of no cause where theirs differ."""
    causes = {one.cause for one in factors}
    staging = Staging()
    for one in factors:
        staging = one.a.over(staging)
    return Factor(name, next(iter(causes)) if len(causes) == 1 else "", staging)


def _of(arm: Experiment, like: str) -> str:
    return f"{arm.count(like)} of {len(arm.outcomes)} like {like}"

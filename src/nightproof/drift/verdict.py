"""What a comparison says of each possible cause, by rules over what is recorded.

Nothing here guesses: a cause is *consistent with* the drift where the record has a
difference of that kind which can have reached the first divergent point, *excluded*
where the record shows that there is none, and *not testable* where the record does
not say. Only an experiment makes it *proved by swap*. Only the first divergent point
counts; where it is a child run, the first one in there. In detail:

input        the contracts are equal: excluded. They differ, and the job's body, which
             alone sees the contract, gave a step other inputs or came to another
             result: consistent with. They differ, but the step was given the same
             inputs: not testable.
code         the snapshots name other source files, or a source file of the user's own
             that both read has other content, or the digest of the divergent step
             differs, or that of the body where the body parted: consistent with. Where
             the sources are on record and equal, such a digest counts only if nothing
             else is consistent with the drift: it covers constants too, which may come
             from a variable or a file, and goes with the interpreter's switches. All
             of these recorded and equal: excluded. Else not testable: a step's digest
             does not cover the modules that it imports.
environment  the snapshots differ in interpreter, packages, zone, locale, hash seed or
             numerics, or a package's own file or a variable of that kind (TZ, LC_*,
             OMP_*) that the step, the import or the body read: consistent with.
             Both recorded and equal: excluded, but not where two processes had random
             hash seeds. Else not testable.
context      a declared variable in the snapshots differs; or a prompt's text; or the
             body parted and the times or signals that it was given differ; or a file,
             folder, variable, host or program that the divergent step read, or the
             import of the target, or the body where the body parted: its content, or
             that only one of them read it. Consistent with. What only lies further
             off (read by the body or by steps before, copied with all variables, read
             in one run only, or differing in every session like PWD) counts where
             nothing else is consistent with the drift. Else not testable, at every
             level of the witness: none sees the clock.
model        of the divergent step's answers for the same requested model, another
             provider, version, fingerprint or setting was reported: consistent with.
             The same requests got the same answers: excluded. Neither: not testable,
             for a model can change behind its name. Where no answers are recorded:
             excluded if no contract pins a model and the step contacted no provider
             of models, or if a witness that sees all hosts saw none; else not testable.
answers      Where the divergent step asked models the same, of the same hosts, and the
             first difference is an answer, all causes on this side of the wire are
             excluded: input, code, environment and context.
sampling     none of the others is consistent with the drift: it is. Else not testable.

Without drift every cause is excluded. The cause is named where exactly one of the
first five is consistent with the drift, or where all but sampling are excluded. But it
is not named where all that differs of the environment are packages, which change often
and of which nobody knows whether the step depends on them, or edited files of packages
that neither run had imported before its first step; nor where the sources and the
interpreter are the same and yet the digest of what ran differs, and no witness saw what
the import read.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nightproof.blobs.protocol import Blobs
from nightproof.drift.around import Around, Side, around
from nightproof.drift.compare import Comparison, Divergence
from nightproof.drift.reads import Pair
from nightproof.drift.showing import brief, side_by_side
from nightproof.journal.protocol import Reader
from nightproof.journal.records import RunRow
from nightproof.model.code import comparable
from nightproof.provenance.served import Served
from nightproof.provenance.snapshot import Difference

CAUSES = ("input", "code", "environment", "context", "model", "sampling")
PROVED = "proved by swap"
CONSISTENT = "consistent with"
EXCLUDED = "excluded"
NOT_TESTABLE = "not testable"
SHOWN = 20
"""So many differing items of one kind are evidence; more add nothing."""

PROVIDERS = (
    "api.anthropic.com", "api.cohere.com", "api.deepseek.com", "api.groq.com", "api.mistral.ai",
    "api.openai.com", "api.together.xyz", "api.x.ai", "generativelanguage.googleapis.com",
    "openrouter.ai", "aiplatform.googleapis.com", "openai.azure.com", "bedrock-runtime",
)  # fmt: skip
"""Hosts, or parts of their names, that serve models."""


class Evidence(NamedTuple):
    """One recorded item that bears on a cause; None where a side does not have it."""

    cause: str
    item: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict for each of CAUSES, the one that is named, and what they rest on.

    `reasons` says, by cause, why the record cannot tell or is no proof; `around` is what was looked
    at, None without drift.
    """

    verdicts: dict[str, str]
    cause: str | None
    evidence: list[Evidence]
    reasons: dict[str, str] = field(default_factory=dict)
    around: Around | None = None


async def judge(reader: Reader, blobs: Blobs, found: Comparison) -> Judgement:
    """The verdicts on a comparison."""
    there = await around(reader, blobs, found)
    inner = found.innermost
    if there is None or inner.first is None:
        return Judgement(dict.fromkeys(CAUSES, EXCLUDED), None, [])
    rules = _Rules(inner, inner.first, there)
    if there.answered:
        verdicts = dict.fromkeys(("input", "code", "environment", "context"), EXCLUDED)
        verdicts["model"] = rules.model()
    else:
        verdicts = {
            "input": rules.input(),
            "code": rules.code(),
            "environment": rules.environment(),
            "context": rules.context(),
            "model": rules.model(),
        }
        if CONSISTENT not in verdicts.values():
            verdicts |= dict.fromkeys(rules.faint(), CONSISTENT)
    suspects = [cause for cause, verdict in verdicts.items() if verdict == CONSISTENT]
    verdicts["sampling"] = NOT_TESTABLE if suspects else CONSISTENT
    if not suspects:
        rules.evidence.append(_itself(inner.first))
    cause = None if rules.doubts else named(verdicts)
    untold = {one: why for one, why in rules.reasons.items() if verdicts[one] == NOT_TESTABLE}
    reasons = {**untold, **rules.doubts}
    return Judgement(verdicts, cause, rules.evidence, reasons, there)


def named(verdicts: dict[str, str]) -> str | None:
    """The cause that verdicts allow to name: one that is proved, else the only suspect."""
    proved = [cause for cause, verdict in verdicts.items() if verdict == PROVED]
    if proved:
        return proved[0] if len(proved) == 1 else None
    others = {cause: verdict for cause, verdict in verdicts.items() if cause != "sampling"}
    suspects = [cause for cause, verdict in others.items() if verdict == CONSISTENT]
    if suspects:
        return suspects[0] if len(suspects) == 1 else None
    return "sampling" if set(others.values()) == {EXCLUDED} else None


def _itself(first: Divergence) -> Evidence:
    what = f"{first.kind} '{first.step}'" + (f" [{first.key}]" if first.key else "")
    a, b = first.a, first.b
    same = "output with the same inputs" if first.same_inputs else first.what
    return Evidence("sampling", f"{what}: {same}", a.raw if a else None, b.raw if b else None)


class _Rules:
    """The rules of the module, applied to one divergence; each adds its evidence."""

    def __init__(self, found: Comparison, first: Divergence, there: Around) -> None:
        self._found = found
        self._first = first
        self._there = there
        self.evidence: list[Evidence] = []
        self.reasons: dict[str, str] = {}
        self.doubts: dict[str, str] = {}
        """Why the only suspect may well have had no part in it."""

    def input(self) -> str:
        a, b = self._found.a.run, self._found.b.run
        if a.digest == b.digest:
            return EXCLUDED
        self.evidence.append(Evidence("input", "contract", a.digest, b.digest))
        told = brief(side_by_side(_contract(a), _contract(b)))
        self.evidence += [Evidence("input", place.path, place.a, place.b) for place in told.places]
        self.reasons["input"] = "the contracts differ, but the step was given the same inputs"
        return CONSISTENT if self._there.body else NOT_TESTABLE

    def code(self) -> str:
        environment = self._there.environment
        before = len(self.evidence)
        digests = self._digests()
        self.evidence += [Evidence("code", *pair) for pair in digests]
        files = [item for item in environment.strict if _is_code(item)]
        self.evidence += [Evidence("code", *item) for item in files[:SHOWN]]
        read = self._read("code")
        edited = any(comparable(a, b) for _, a, b in digests)
        switched = any(item.item.startswith("python/") for item in environment.strict)
        constant = edited and environment.recorded and not (files or read or switched)
        if constant and not self._there.witnessed:
            self.doubts["code"] = "the source files are the same: a constant in them was another"
        if files or read or (edited and not environment.recorded):
            return CONSISTENT
        if environment.recorded and len(self.evidence) == before:
            return EXCLUDED
        self.reasons["code"] = (
            "the source files are the same: a constant in them was another one"
            if environment.recorded
            else "not every run has its environment, with the source files, on record"
        )
        return NOT_TESTABLE

    def _digests(self) -> list[tuple[str, str, str]]:
        """The digests of what ran that differ: of the step, or of the body."""
        first = self._first
        pairs = []
        one, other = first.points
        if one and other and one.code and other.code and one.what != "result":
            pairs.append((f"{first.kind} '{first.step}'", one.code, other.code))
        a, b = self._found.a.run, self._found.b.run
        if self._there.body and a.code and b.code:
            pairs.append((f"job '{a.job}'", a.code, b.code))
        return [pair for pair in pairs if pair[1] != pair[2]]

    def environment(self) -> str:
        environment = self._there.environment
        found = [item for item in environment.strict if not _is_code(item)]
        found = [item for item in found if not item.item.startswith("variable/")]
        found += environment.numeric
        found.sort(key=lambda item: item.item in environment.idle)
        self.evidence += [Evidence("environment", *item) for item in found[:SHOWN]]
        if found and all(one.item in environment.idle for one in found):
            self.doubts["environment"] = "but neither had imported it before its first step"
        elif found and all(one.item.startswith("package/") for one in found):
            self.doubts["environment"] = "but whether the step depends on it is not on record"
        # A variable that was read is in the snapshot too, where that looks at it.
        if found or self._read("environment"):
            return CONSISTENT
        seed = environment.hash_seed
        if environment.recorded and seed not in (None, "random"):
            return EXCLUDED
        if seed == "random":
            self.evidence.append(Evidence("environment", "hashseed", "random", "random"))
            self.reasons["environment"] = (
                "both had a random hash seed, so sets may have been in another order"
            )
        else:
            self.reasons["environment"] = "not every run has its environment on record"
        return NOT_TESTABLE

    def context(self) -> str:
        there = self._there
        before = len(self.evidence)
        variables = [item for item in there.environment.strict if item.item.startswith("variable/")]
        prompts = [item._replace(item=f"prompt {item.item}") for item in there.prompts]
        for item in (*variables[:SHOWN], *prompts[:SHOWN], *there.world[:SHOWN]):
            self.evidence.append(Evidence("context", *item))
        known = {f"variable {item.item.partition('/')[2]}" for item in variables}
        self._read("context", known)
        if len(self.evidence) > before:
            return CONSISTENT
        self.reasons["context"] = self._unseen()
        return NOT_TESTABLE

    def faint(self) -> list[str]:
        """The causes of which only something differs that does not count beside others."""
        pairs = [pair for pair in self._there.pairs if pair.weak and pair.cause == "context"]
        self.evidence += [_evidence(pair) for pair in pairs[:SHOWN]]
        edited = any(comparable(a, b) for _, a, b in self._digests())
        edited = edited and self._there.witnessed
        return ["context"] * bool(pairs) + ["code"] * edited

    def _read(self, cause: str, known: set[str] = frozenset()) -> bool:  # type: ignore[assignment]
        """Add what was read near the point and is a sign of `cause`; whether there was any."""
        pairs = [pair for pair in self._there.pairs if pair.cause == cause and not pair.weak]
        pairs = [pair for pair in pairs if pair.item not in known]
        self.evidence += [_evidence(pair) for pair in pairs[:SHOWN]]
        return bool(pairs)

    def _unseen(self) -> str:
        there = self._there
        if not there.witnessed:
            return "what was read is not on record for both"
        if there.hosts:
            return f"what {', '.join(there.hosts[:3])} answered is not on record"
        if there.seen_whole:
            return "all that is seen was the same, but no witness sees the clock"
        level = min(there.a.level, there.b.level)
        return f"a witness of level {level} does not see reads of native code, nor the clock"

    def model(self) -> str:
        there = self._there
        if there.a.calls and there.b.calls:
            return self._served(there.a, there.b)
        reasons = self.reasons
        if there.a.calls or there.b.calls:
            reasons["model"] = "which model answered is on record for one of them only"
            return NOT_TESTABLE
        serving = [host for host in there.hosts if any(one in host for one in PROVIDERS)]
        if serving:
            reasons["model"] = (
                f"it contacted {', '.join(serving[:3])}, and did not record which model answered "
                "(served(...))"
            )
            return NOT_TESTABLE
        found = self._found
        pinned = any(_pins(_contract(side.run)) for side in (found.a, found.b))
        if not pinned or (there.witnessed and there.seen_whole and not there.hosts):
            return EXCLUDED
        reasons["model"] = (
            "the contract pins a model, and the step did not record which one answered "
            "(served(...))"
        )
        return NOT_TESTABLE

    def _served(self, a: Side, b: Side) -> str:
        before = len(self.evidence)
        ours, theirs = _reports(a.calls), _reports(b.calls)
        for requested in [one for one in ours if one in theirs]:
            x, y = ours[requested], theirs[requested]
            for part in sorted({*x, *y}):
                if x.get(part) != y.get(part):
                    item = f"model {requested}: {part}"
                    self.evidence.append(Evidence("model", item, x.get(part), y.get(part)))
        if len(self.evidence) > before:
            return CONSISTENT
        asked = [Counter(one.request_digest for one in side.calls) for side in (a, b)]
        if None in asked[0] or asked[0] != asked[1]:
            self.reasons["model"] = "the model was not asked the same, or it is not on record"
            return NOT_TESTABLE
        got = [
            Counter((one.request_digest, one.response_digest) for one in s.calls) for s in (a, b)
        ]
        if got[0] == got[1] and not any(response is None for _, response in got[0]):
            return EXCLUDED
        answers = [_answers(side.calls) for side in (a, b)]
        name = ", ".join(ours)
        self.evidence.append(Evidence("model", f"answer of {name} to the same request", *answers))
        self.reasons["model"] = (
            f"{name} was asked the same and reported itself the same, and gave another answer: "
            "a change behind the name, or sampling"
        )
        return NOT_TESTABLE


def _reports(calls: list[Served]) -> dict[str, dict[str, str]]:
    """By requested model, who answered, in words; several answers are joined."""
    found: dict[str, dict[str, str]] = {}
    for call in calls:
        told = found.setdefault(call.requested, {})
        accepted = None if call.accepted is None else json.dumps(call.accepted, sort_keys=True)
        for part, value in (
            ("provider", call.provider or None),
            ("reported", call.reported),
            ("fingerprint", call.fingerprint),
            ("accepted", accepted),
        ):
            if value is not None:
                known = {one for one in told.get(part, "").split(" | ") if one}
                told[part] = " | ".join(sorted({*known, value}))
    return found


def _answers(calls: list[Served]) -> str | None:
    return " | ".join(sorted({call.response_digest or "-" for call in calls})) or None


def _evidence(pair: Pair) -> Evidence:
    return Evidence(pair.cause, pair.item, *pair.sides)


def _pins(value: Any) -> bool:
    """Whether JSON data holds a model pin."""
    if isinstance(value, dict):
        return "pinnedVersion" in value or any(map(_pins, value.values()))
    return isinstance(value, list) and any(map(_pins, value))


def _contract(run: RunRow) -> Any:
    return json.loads(run.contract)


def _is_code(item: Difference) -> bool:
    """Whether a snapshot's item is source of the user's own, like an editable install."""
    name, a, b = item
    return name.startswith("code/") or all("editable sha256:" in (side or "") for side in (a, b))

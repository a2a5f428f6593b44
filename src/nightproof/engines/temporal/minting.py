"""Expiring and secret values in a workflow: made by activities, told apart as everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from temporalio import workflow

from nightproof.durable.step import Step
from nightproof.engines.attempt.mints import Mint, Mints, needles
from nightproof.engines.temporal.execution import Execution
from nightproof.engines.temporal.parts import MintRecord
from nightproof.errors import MisuseError


class WorkflowMints(Mints):
    """The expiring values of one run, as its body has them."""

    def __init__(self, run: Execution) -> None:
        super().__init__(cast("Any", run))
        self._workflow = run
        self._records: dict[bytes, MintRecord] = {}
        self._past: dict[bytes, dict[str, list[bytes]]] = {}
        """What each value was, oldest first, and the texts by which it is found in arguments."""

    async def call(self, step: Step[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
        """The current value; refused where a secret would travel in the clear."""
        if step.secret and not self._workflow.host.encrypts:
            raise MisuseError(
                f"step '{step.name}' is secret, and what this worker gives to Temporal is not "
                "encrypted",
                "Set temporal_key (NIGHTPROOF_TEMPORAL_KEY) to a file with a key, the same for "
                "every worker and client.",
            )
        return await super().call(step, args, kwargs)

    async def _recall(self, mint: Mint) -> None:
        # The activity that makes it looks at the record first.
        self._workflow.record.take(mint.fp)

    async def _current(self, mint: Mint) -> Any:
        async with mint.lock:
            lifetime = mint.step.expires
            stale = mint.made is None or (
                lifetime is not None and workflow.time() - mint.made >= lifetime
            )
            if stale:
                await self._make(mint)
        return mint.value

    async def _make(self, mint: Mint) -> None:
        run, step = self._workflow, mint.step
        values = step.arguments.bind(mint.args, mint.kwargs)
        step.arguments.refuse_unsendable(values)
        answer = await run.step(step, "mint", mint.parts, mint.fp, 0, "")
        mint.value = run.value_of(step, answer)
        if mint.made is None:
            mint.made = workflow.time()
        self._remember(mint)

    def learn(self, told: Iterable[MintRecord]) -> None:
        """Take over values that workers made, and know them by their older forms too."""
        for record in told:
            fp = bytes.fromhex(record["fp"])
            mint = self._by_fp.get(fp)
            if mint is None:
                continue  # made inside a step: the body never sees it
            known = self._records.get(fp)
            newest = mint.value
            past = self._past.setdefault(fp, {})
            for text in (*record.get("older", ()), record["value"]):
                mint.value = mint.step.result.decode(text.encode())
                self._remember(mint)
                past[text] = needles(text)
            if known is not None and known["made"] > record["made"]:
                mint.value = newest
                continue
            self._records[fp] = record
            mint.made, mint.serial = record["made"], record["serial"]

    def records(self, known: Iterable[bytes], parts: Iterable[bytes]) -> list[MintRecord]:
        """Those that occur in arguments: `parts` as they are, `known` as they are identified.

        Each with those of its former values that the arguments still hold, and no others: a
        token that is made again for weeks has thousands.
        """
        if not self._records:
            return []
        marked, given = b"\n".join(known), b"\n".join(parts)
        return [
            {**record, "older": self._held(fp, record, given)}
            for fp, record in self._records.items()
            if record["fp"].encode() in marked
        ]

    def _held(self, fp: bytes, record: MintRecord, given: bytes) -> list[str]:
        return [
            text
            for text, found_by in self._past[fp].items()
            if text != record["value"] and any(one in given for one in found_by)
        ]

"""Runtimes broken on purpose: a harness that does not catch them proves nothing."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from nightproof.errors import BlobError
from nightproof.stores.postgres import beating, committing, writing
from nightproof.stores.postgres.trouble import Lost

_FAR = 1_000_000
"""Away from the numbers that the run gives itself."""
_NEXT = "(SELECT coalesce(max(seq), 0) + 1 FROM entry WHERE run = $1) + 0 * $6::int"


def no_token() -> None:
    """What an owner writes that was taken over is not refused; numbers that collide move on."""

    writing.ONE = writing.ONE.replace("$6", _NEXT).replace("token = $12", "$12::bigint > 0")
    next_ones = "(SELECT coalesce(max(seq), 0) FROM entry WHERE run = $1) + u.n::int"
    many = writing._MANY.replace("u.*", f"u.a, u.b, u.c, u.d, {next_ones}, u.f, u.g, u.h, u.i, u.j")
    many = many.replace(") AS u", ") WITH ORDINALITY AS u (a, b, c, d, e, f, g, h, i, j, n)")
    writing._MANY = many.replace("token = $2", "$2::bigint > 0")
    writing.FENCE = writing.FENCE.replace("token = $2", "$2::bigint > 0")
    writing._FINISH = writing._FINISH.replace("token = $13", "$13::bigint > 0")
    beating.PULSE = beating.PULSE.replace("USING (id, token)", "USING (id)")


def taken_for_done() -> None:
    """A commit whose answer was lost is believed to have happened."""
    resolved = committing.Commit._resolved

    async def believe(self: Any, error: Exception | None) -> Any:
        return frozenset() if isinstance(error, Lost) else await resolved(self, error)

    committing.Commit._resolved = believe


def taken_for_undone() -> None:
    """A commit whose answer was lost is made again."""
    resolved = committing.Commit._resolved

    async def again(self: Any, error: Exception | None) -> Any:
        if not isinstance(error, Lost):
            return await resolved(self, error)

        async def insert(transaction: Any) -> frozenset[int]:
            for batch in self._batches:
                for entry in batch.entries:
                    moved = entry._replace(run=batch.run, seq=entry.seq + _FAR)
                    sql, values = writing.free(moved)
                    await transaction.run(sql, *values)
            return frozenset()

        return await self._session.once(insert)

    committing.Commit._resolved = again


def no_look_up() -> None:
    """A worker that gets the rest of a killed one does not look what is on record."""
    from nightproof.engines.temporal.worker_run import WorkerLedger

    outcomes = WorkerLedger.outcomes
    asked: set[bytes] = set()

    async def nothing_at_first(self: Any, fps: Sequence[bytes]) -> Any:
        if fresh := set(fps) - asked:
            asked.update(fresh)
            return {}
        return await outcomes(self, fps)

    WorkerLedger.outcomes = nothing_at_first


def out_of_reach_is_lost() -> None:
    """A blob that cannot be read now counts as one that is not there."""
    from nightproof.stores.objects import ObjectBlobs

    get = ObjectBlobs.get

    def impatient(self: Any, digest: str) -> bytes:
        for address in self.hosts:
            try:
                socket.create_connection(address, 1).close()
            except OSError as error:
                raise BlobError(f"blob {digest} is missing") from error
        return get(self, digest)

    ObjectBlobs.get = impatient


BREAK = {
    "no-token": no_token,
    "taken-for-done": taken_for_done,
    "taken-for-undone": taken_for_undone,
    "no-look-up": no_look_up,
    "out-of-reach-is-lost": out_of_reach_is_lost,
}

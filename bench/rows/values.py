"""Steps that return large values."""

from __future__ import annotations

from bench.spec import NIGHTPROOF, Bound, Contender, Row

DBOS = "DBOS, SQLite"


def _row(shape: str, megabytes: int, n: int) -> Row:
    params = {"n": n, "size": megabytes * 1_000_000, "shape": shape}
    quick = {"n": max(1, n // 4)}
    words = "a list of records" if shape == "rows" else "a string"
    return Row(
        name=f"{shape}-{megabytes}mb",
        title=f"A step that returns {megabytes} MB: {words}",
        unit="ms",
        contenders=(
            Contender("JSON, sha256, a synced file", "bench.peers.raw:large", params, quick),
            Contender(NIGHTPROOF, "bench.peers.ours:large", params, quick),
            Contender(DBOS, "bench.peers.dbos_sqlite:large", params, quick),
            Contender(
                "Absurd, Postgres",
                "bench.peers.absurd_postgres:large",
                params,
                quick,
                rounds=1 if megabytes > 1 else None,
                needs="postgres",
            ),
            Contender(
                "satay, SQLite",
                "bench.peers.satay_sqlite:large",
                params,
                quick,
                rounds=1 if megabytes > 1 else None,
                needs="satay",
            ),
        ),
        bounds=(Bound(NIGHTPROOF, "ratio", 0.5, False, DBOS),),
        note="Every step returns another value, so nothing is saved by storing it once. DBOS "
        "pickles, and hands back the object itself; nightproof writes JSON and hands back what "
        "it decodes. The first line is that work alone, in one thread, uncompressed.",
    )


VALUES = (_row("rows", 1, 20), _row("rows", 30, 3), _row("text", 1, 20), _row("text", 30, 3))

"""The price of a million steps on each engine and store."""

from __future__ import annotations

from typing import Any, Literal

from bench.spec import NIGHTPROOF, Contender, Row

Needs = Literal["", "postgres", "temporal"]
SQLITE = "SQLite"
POSTGRES = "Postgres"
TEMPORAL = "Temporal and Postgres"


def _side(unit: str, label: str, needs: Needs, target: str, n: int, **more: Any) -> Contender:
    params = {"target": target, "n": n, **more}
    return Contender(
        f"{NIGHTPROOF}, {label}", f"bench.million:{unit}", params, {"n": min(n, 1000)}, 1, needs
    )


SECONDS = Row(
    name="million-seconds",
    title="A million small steps",
    unit="s",
    contenders=(
        _side("seconds", f"one after another, {SQLITE}", "", "ours:steps", 10_000),
        _side("seconds", f"one after another, {POSTGRES}", "postgres",
              "ours_postgres:throughput", 6000, what="steps"),
        _side("seconds", f"one after another, {TEMPORAL}", "temporal", "ours_temporal:steps", 600),
        _side("seconds", f"map of 64, {SQLITE}", "", "ours:map_items", 40_000),
        _side("seconds", f"map of 64, {POSTGRES}", "postgres",
              "ours_postgres:throughput", 40_000, what="map"),
        _side("seconds", f"map of 64, {TEMPORAL}", "temporal", "ours_temporal:map_items", 20_000),
    ),
    rounds=1,
    note="Some thousands are measured and multiplied; items of the map wait for 1 ms, so a map "
    "of 64 takes 16 s at least.",
)  # fmt: skip

MEGABYTES = Row(
    name="million-bytes",
    title="Disk for a million small steps",
    unit="MB",
    contenders=(
        _side("megabytes", f"step, {SQLITE}", "", "ours:disk", 20_000),
        _side("megabytes", f"map item, {SQLITE}", "", "ours:disk_map", 20_000),
        _side("megabytes", f"step, {POSTGRES}", "postgres",
              "ours_postgres:growth", 10_000, what="disk"),
        _side("megabytes", f"map item, {POSTGRES}", "postgres",
              "ours_postgres:growth", 20_000, what="disk", of="map"),
        _side("megabytes", f"step, {TEMPORAL}: in Postgres", "temporal",
              "ours_temporal:growth", 600, of="steps", where="postgres"),
        _side("megabytes", f"step, {TEMPORAL}: history", "temporal",
              "ours_temporal:growth", 600, of="steps", where="temporal"),
        _side("megabytes", f"map item, {TEMPORAL}: in Postgres", "temporal",
              "ours_temporal:growth", 10_000, of="map", where="postgres"),
        _side("megabytes", f"map item, {TEMPORAL}: history", "temporal",
              "ours_temporal:growth", 10_000, of="map", where="temporal"),
    ),
    rounds=1,
    note="Small values only. The history is counted as Temporal counts it, without the indexes of "
    "its database; it is dropped when the namespace's retention is over.",
)  # fmt: skip

MILLION = (SECONDS, MEGABYTES)

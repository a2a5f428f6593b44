"""The same job on Absurd: `python absurd_job.py DIR N`, database in BENCH_DATABASE."""

import asyncio
import os
import sys

from absurd_sdk import AsyncAbsurd
from mark import mark_or_die

LEASE_SECONDS = 5  # its default of 120 would leave a killed run alone for two minutes


async def main() -> None:
    n = int(sys.argv[2])
    app = AsyncAbsurd(os.environ["BENCH_DATABASE"], queue_name="bench")

    @app.register_task(name="start")
    async def start(params: dict[str, int], ctx: object) -> int:
        total = 0
        for i in range(params["n"]):

            async def one(i: int = i) -> int:
                mark_or_die(i)
                return i

            total += await ctx.step(f"s{i}", one)
        app.stop_worker()
        return total

    await app.spawn("start", {"n": n}, idempotency_key=f"run-{n}")
    await app.start_worker(claim_timeout=LEASE_SECONDS, poll_interval=0.05)
    await app.close()


asyncio.run(main())

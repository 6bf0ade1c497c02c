"""`sleep(0)` over 100 tasks."""

import asyncio

from measure import measure_cpu

TASKS = 100


async def body(operations):
    done = 0

    async def yielding():
        nonlocal done
        for _ in range(operations // TASKS):
            await asyncio.sleep(0)
            done += 1

    await asyncio.gather(*(yielding() for _ in range(TASKS)))
    return done


measure_cpu(body)

"""An uncontended lock, acquired and released."""

import asyncio

from measure import measure_cpu


async def body(operations):
    lock = asyncio.Lock()
    done = 0
    for _ in range(operations):
        await lock.acquire()
        done += 1
        lock.release()
    return done


measure_cpu(body)

"""A queue with room for one item between two tasks: every put and every get may have to wait.

Not named queue.py: that would hide the module of the standard library.
"""

import asyncio

from measure import measure_cpu


async def body(operations):
    queue = asyncio.Queue(1)
    got = 0

    async def produce():
        for i in range(operations):
            await queue.put(i)

    async def consume():
        nonlocal got
        for i in range(operations):
            assert await queue.get() == i
            got += 1

    await asyncio.gather(produce(), consume())
    return got


measure_cpu(body)

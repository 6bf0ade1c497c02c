"""`gather` of many coroutines that end at once."""

import asyncio

from measure import measure_cpu


async def one():
    return 1


async def body(operations):
    return sum(await asyncio.gather(*(one() for _ in range(operations))))


measure_cpu(body)

"""Timers that are all created, then cancelled; the turn in which the loop drops them is included."""

import asyncio

from measure import measure_cpu


async def body(operations):
    loop = asyncio.get_running_loop()

    def fire():
        raise AssertionError("a cancelled timer fired")

    timers = [loop.call_later(10 + i % 1000 / 1000, fire) for i in range(operations)]
    for timer in timers:
        timer.cancel()
    await asyncio.sleep(0)
    return sum(timer.cancelled() for timer in timers)


measure_cpu(body)

"""`call_soon` from within a callback of the running loop."""

import asyncio

from measure import measure_cpu


async def body(operations):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    ran = 0

    def count():
        nonlocal ran
        ran += 1

    def schedule():
        for _ in range(operations):
            loop.call_soon(count)
        loop.call_soon(done.set_result, None)

    loop.call_soon(schedule)
    await done
    return ran


measure_cpu(body)

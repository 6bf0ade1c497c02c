"""Timers over 0..200 ms, scheduled at once and run."""

import asyncio

from measure import measure_cpu, operations_asked, pseudo_random_delays

DELAYS = [microseconds / 1e6 for microseconds in pseudo_random_delays(operations_asked(), 200_000)]


async def body(operations):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    fired = 0

    def fire():
        nonlocal fired
        fired += 1
        if fired == operations:
            done.set_result(None)

    for delay in DELAYS:
        loop.call_later(delay, fire)
    await done
    return fired


measure_cpu(body)

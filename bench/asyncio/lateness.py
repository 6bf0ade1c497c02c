"""Lateness of timers of 1..50 ms on an idle loop: 20 chains, each of which starts a timer as one fires."""

import asyncio
import time

from measure import operations_asked, report_lateness, run

CHAINS = 20


async def main():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    timers = operations_asked()
    late = []
    started = 0

    def start():
        nonlocal started
        if started == timers:
            return
        delay = (1 + started * 37 % 50) / 1000
        started += 1
        loop.call_later(delay, fire, time.perf_counter() + delay)

    def fire(due):
        late.append(time.perf_counter() - due)
        if len(late) == timers:
            done.set_result(None)
        start()

    for _ in range(CHAINS):
        start()
    await done
    return late


report_lateness(run(main()))

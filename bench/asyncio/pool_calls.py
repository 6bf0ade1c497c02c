"""Helpers of the programs `threads` and `processes`, and the twin of ../pool-calls.ts."""

import asyncio
import statistics
import sys
import time

from measure import operations_asked, report, run, sizes_asked

WORKERS = 2
WARM_UPS = 2
REPETITIONS = 5


def same(n):
    return n


def measure_pool(pool):
    """Reports calls a second, or the microseconds of a call if there is one at a time."""

    async def many(operations, at_once):
        loop = asyncio.get_running_loop()
        started = ended = 0

        async def caller():
            nonlocal started, ended
            while started < operations:
                n = started
                started += 1
                if await loop.run_in_executor(pool, same, n) != n:
                    sys.exit("another answer came back")
                ended += 1

        await asyncio.gather(*(caller() for _ in range(at_once)))
        if ended != operations:
            sys.exit(f"{ended} of {operations} calls ended")

    async def repeat():
        operations = operations_asked()
        (at_once,) = sizes_asked()
        microseconds = []
        cpu = []
        for i in range(WARM_UPS + REPETITIONS):
            begin, before = time.perf_counter(), time.process_time()
            await many(operations, at_once)
            end, after = time.perf_counter(), time.process_time()
            if i >= WARM_UPS:
                microseconds.append((end - begin) * 1e6 / operations)
                cpu.append((after - before) * 1e6 / operations)
        each = statistics.median(microseconds)
        report(each if at_once == 1 else 1e6 / each, {"CPU us": statistics.median(cpu)})

    with pool:
        run(repeat())

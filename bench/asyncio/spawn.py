"""Children that do nothing."""

import asyncio
import statistics
import sys
import time
from asyncio.subprocess import DEVNULL

from measure import operations_asked, report, run, sizes_asked

WARM_UPS = 20
BLOCKED_SAMPLES = 30


async def spawn_one():
    child = await asyncio.create_subprocess_exec("true", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    code = await child.wait()
    if code != 0:
        sys.exit(f"the child ended with {code}")


async def spawn_many(count, at_once):
    started = ended = 0

    async def worker():
        nonlocal started, ended
        while started < count:
            started += 1
            await spawn_one()
            ended += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    if ended != count:
        sys.exit(f"{ended} of {count} children ended")


async def longest_gap():
    """Returns the longest time, in ms, for which a spawn blocked a loop that is always busy."""
    loop = asyncio.get_running_loop()
    longest = 0
    over = False

    def tick():
        nonlocal longest, last
        now = time.perf_counter()
        longest = max(longest, now - last)
        last = now
        if not over:
            loop.call_soon(tick)

    last = time.perf_counter()
    loop.call_soon(tick)
    await spawn_one()
    over = True
    return longest * 1000


async def main():
    operations = operations_asked()
    at_once, resident_mebibytes = sizes_asked()
    resident = bytearray(b"\1") * (resident_mebibytes * 2**20)  # every page of it is written

    await spawn_many(WARM_UPS, at_once)
    begin = time.perf_counter()
    await spawn_many(operations, at_once)
    seconds = time.perf_counter() - begin

    gaps = [await longest_gap() for _ in range(BLOCKED_SAMPLES)]
    if len(resident) != resident_mebibytes * 2**20 or any(byte != 1 for byte in resident[::4096]):
        sys.exit("the memory is gone")
    report(seconds * 1e6 / operations, {"blocked ms": statistics.median(gaps)})


run(main())

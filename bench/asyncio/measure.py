"""What the programs of this folder share, and the twin of ../measure.ts.

Each program is started by run.ts with the loop to use (asyncio or uvloop) and the size of its workload, and prints one
JSON line.
"""

import asyncio
import json
import platform
import statistics
import sys
import time

WARM_UPS = 2
REPETITIONS = 5

KIND = sys.argv[1]
if KIND not in ("asyncio", "uvloop"):
    sys.exit("usage: program.py asyncio|uvloop [operations]")
RUNTIME = f"CPython {platform.python_version()}"
if KIND == "uvloop":
    import uvloop

    RUNTIME = f"uvloop {uvloop.__version__} on {RUNTIME}"


def run(main):
    loop = uvloop.new_event_loop() if KIND == "uvloop" else asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def operations_asked():
    return int(sys.argv[2])


def measure_cpu(body):
    """Reports CPU nanoseconds per operation of `body(operations)`, a coroutine function that returns how many it did."""

    async def repeat():
        operations = operations_asked()
        samples = []
        for i in range(WARM_UPS + REPETITIONS):
            before = time.process_time_ns()
            done = await body(operations)
            spent = time.process_time_ns() - before
            if done != operations:
                sys.exit(f"{done} of {operations} operations were done")
            if i >= WARM_UPS:
                samples.append(spent / operations)
        report(statistics.median(samples), {})

    run(repeat())


def report_lateness(seconds):
    """Reports how late timers were, from lateness in seconds."""
    if len(seconds) != operations_asked():
        sys.exit(f"{len(seconds)} timers fired")
    ordered = sorted(late * 1e6 for late in seconds)

    def at(share):
        return ordered[round(share * (len(ordered) - 1))]

    report(at(0.5), {"min us": at(0), "p99 us": at(0.99), "max us": at(1)})


def report(value, details):
    print(json.dumps({"value": value, "details": details, "runtime": RUNTIME}), flush=True)


def serve(start):
    """Runs the server that `start()` makes, a coroutine function, until run.ts lets go of our standard input."""

    async def main():
        server = await start()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        print(json.dumps({"port": server.sockets[0].getsockname()[1], "runtime": RUNTIME}), flush=True)
        await ended.wait()
        server.close()

    run(main())


def pseudo_random_delays(count, below_microseconds):
    """Delays that look random and are the same in every run and in every language: whole microseconds."""
    state = 1
    delays = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        delays.append(state % below_microseconds)
    return delays

"""Helpers of the programs of this folder, and the twin of ../measure.ts.

run.ts starts each program with the loop to use (asyncio or uvloop) and the size of its workload, or for a
server the unix socket to listen on. The program prints one JSON line.
"""

import asyncio
import gc
import json
import os
import platform
import ssl
import statistics
import sys
import time

WARM_UPS = 2
REPETITIONS = 5

# Long enough for a thousand clients that connect at once.
BACKLOG = 1024

KIND = sys.argv[1]
if KIND not in ("asyncio", "uvloop"):
    sys.exit("usage: program.py asyncio|uvloop [operations or path]")
UNIX_PATH = sys.argv[2] if len(sys.argv) > 2 else None
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


def sizes_asked():
    """The further numbers of the command line."""
    return [int(size) for size in sys.argv[3:]]


def measure_cpu(body):
    """Reports CPU nanoseconds per operation of the coroutine function `body`, which returns its count."""

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


def serve_protocol(factory):
    """Serves the unix socket that the command line names, else a free port of the loopback address."""

    async def main():
        loop = asyncio.get_running_loop()
        if UNIX_PATH is None:
            server = await loop.create_server(factory, "127.0.0.1", 0, backlog=BACKLOG)
        else:
            server = await loop.create_unix_server(factory, UNIX_PATH, backlog=BACKLOG)
        await announce_and_wait(server.sockets[0].getsockname())

    run(main())


def serve_tls(factory):
    """Serves TLS with the certificate and the key that the command line names."""

    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[2:4])
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", 0, backlog=BACKLOG, ssl=context)
        await announce_and_wait(server.sockets[0].getsockname())

    run(main())


def serve_streams(on_connection):
    """As `serve_protocol`."""

    async def main():
        if UNIX_PATH is None:
            server = await asyncio.start_server(on_connection, "127.0.0.1", 0, backlog=BACKLOG)
        else:
            server = await asyncio.start_unix_server(on_connection, UNIX_PATH, backlog=BACKLOG)
        await announce_and_wait(server.sockets[0].getsockname())

    run(main())


async def announce_and_wait(sockname):
    """Tells run.ts where the server listens, and waits for the end of standard input.

    Each line requests a garbage collection.
    """
    ended = asyncio.Event()

    def on_input():
        if os.read(sys.stdin.fileno(), 256) == b"":
            ended.set()
        else:
            gc.collect()
            print("{}", flush=True)

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), on_input)
    port = sockname[1] if isinstance(sockname, tuple) else 0
    print(json.dumps({"port": port, "runtime": RUNTIME}), flush=True)
    await ended.wait()
    os._exit(0)  # what is open is not the subject


def message_of(size):
    """The bytes that travel: letters and a newline, as in ../load/shared.c."""
    return bytes(97 + place % 26 for place in range(size - 1)) + b"\n"


def pseudo_random_delays(count, below_microseconds):
    """Delays that look random and are the same in every run and in every language: whole microseconds."""
    state = 1
    delays = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        delays.append(state % below_microseconds)
    return delays

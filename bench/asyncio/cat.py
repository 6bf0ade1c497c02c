"""Bytes through a child, by streams."""

import asyncio
import statistics
import sys
import time
from asyncio.subprocess import PIPE

from measure import message_of, operations_asked, report, run, sizes_asked

REPETITIONS = 5


async def transfer(message, writes, on_data):
    child = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)

    async def feed():
        for _ in range(writes):
            child.stdin.write(message)
            await child.stdin.drain()
        child.stdin.close()

    async def read():
        while data := await child.stdout.read(65536):
            on_data(data)

    await asyncio.gather(feed(), read())
    code = await child.wait()
    if code != 0:
        sys.exit(f"cat ended with {code}")


async def main():
    writes = operations_asked()
    (size,) = sizes_asked()
    message = message_of(size)
    twice = message * 2
    samples = []
    received = 0

    def compare(data):
        nonlocal received
        place = received % size
        if data != twice[place : place + len(data)]:
            sys.exit("something else came back than was sent")
        received += len(data)

    def count(data):
        nonlocal received
        received += len(data)

    for i in range(REPETITIONS + 1):
        received = 0
        begin = time.perf_counter()
        await transfer(message, writes, compare if i == 0 else count)
        if received != writes * size:
            sys.exit(f"{received} of {writes * size} bytes came back")
        if i > 0:
            samples.append(received / 1e6 / (time.perf_counter() - begin))
    report(statistics.median(samples), {})


run(main())

"""Line echo by `readline`, with one write a line."""

import asyncio

from measure import serve


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


serve(lambda: asyncio.start_server(echo, "127.0.0.1", 0, backlog=1024))

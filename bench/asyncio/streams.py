"""TCP echo by streams."""

import asyncio

from measure import serve


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


serve(lambda: asyncio.start_server(echo, "127.0.0.1", 0, backlog=1024))

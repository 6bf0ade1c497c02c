"""TCP echo by streams."""

from measure import serve_streams


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


serve_streams(echo)

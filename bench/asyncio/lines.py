"""Line echo by `readline`, with one write a line."""

from measure import serve_streams


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


serve_streams(echo)

"""TCP echo by protocol."""

import asyncio

from measure import serve


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


serve(lambda: asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=1024))

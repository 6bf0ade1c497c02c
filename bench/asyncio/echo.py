"""Echo by protocol."""

import asyncio

from measure import serve_protocol


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


serve_protocol(Echo)

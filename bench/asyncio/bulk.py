"""One way, by protocol: writes until it is told to pause."""

import asyncio

from measure import message_of, serve_protocol


class Source(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.paused = False
        self.left = 0

    def data_received(self, data):
        writes, size = data.split()
        self.message = message_of(int(size))
        self.left = int(writes)
        self.send()

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False
        self.send()

    def send(self):
        while self.left > 0 and not self.paused:
            self.left -= 1
            self.transport.write(self.message)
        if self.left == 0:
            # Not here: CPython 3.11 reports the end twice when resume_writing() closes.
            asyncio.get_running_loop().call_soon(self.transport.close)


serve_protocol(Source)

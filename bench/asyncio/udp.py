"""UDP echo."""

import asyncio

from measure import announce_and_wait, run


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def main():
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    await announce_and_wait(transport.get_extra_info("sockname"))


run(main())

import assert from 'node:assert/strict';
import { AF_INET, SendfileNotAvailableError, SOCK_DGRAM, Socket } from '../../src/index.ts';
import { addressOf, connectedSockets, listening } from '../helpers/descriptors.ts';
import type { Target } from './section.ts';
import { section } from './section.ts';

export function socketsSuite(target: Target): void {
  section(
    'Sockets without buffers',
    target,
    (test) => {
      test('sock_connect() and sock_accept() make a connection', async ({ loop }) => {
        await loop.runUntilComplete(async () => {
          using listener = listening();
          using client = new Socket();
          const accepting = loop.sockAccept(listener);
          await loop.sockConnect(client, addressOf(listener));
          const [server, address] = await accepting;
          assert.deepEqual(address, addressOf(client));
          assert.deepEqual(server.getpeername(), addressOf(client));
          server.close();
        });
      });

      test('sock_connect() fails with the error of the system', async ({ loop }) => {
        await loop.runUntilComplete(async () => {
          const listener = listening();
          const address = addressOf(listener);
          listener.close();
          using client = new Socket();
          await assert.rejects(async () => loop.sockConnect(client, address), {
            code: 'ECONNREFUSED',
            syscall: 'connect',
            port: address[1],
          });
        });
      });

      test('sock_sendall() sends all data, and sock_recv() receives the available data, and an empty buffer at the end', async ({
        loop,
      }) => {
        await loop.runUntilComplete(async () => {
          const [near, far] = await connectedSockets(loop);
          const sending = loop.sockSendall(far, Buffer.alloc(3_000_000, 'x')).then(() => far.close());
          let received = 0;
          for (;;) {
            const data = await loop.sockRecv(near, 100_000);
            assert.ok(data.length <= 100_000);
            if (data.length === 0) break;
            received += data.length;
          }
          assert.equal(received, 3_000_000);
          await sending;
          near.close();
        });
      });

      test('sock_sendfile() sends a file, or count bytes of it from an offset, and returns the number of bytes', async ({
        loop,
        machine,
      }) => {
        await loop.runUntilComplete(() =>
          machine.files.inDirectory(async (directory) => {
            const [near, far] = await connectedSockets(loop);
            const path = `${directory}/file`;
            machine.files.write(path, '0123456789');
            assert.equal(await loop.sockSendfile(near, path), 10);
            assert.equal(await loop.sockSendfile(near, path, { offset: 8, fallback: false }), 2);
            assert.equal(await loop.sockSendfile(near, path, { offset: 2, count: 3 }), 3);
            assert.equal(await loop.sockSendfile(near, path, { offset: 20 }), 0);
            near.close();
            let received = '';
            for (
              let data = await loop.sockRecv(far, 100);
              data.length > 0;
              data = await loop.sockRecv(far, 100)
            ) {
              received += data.toString();
            }
            assert.equal(received, '012345678989234');
            far.close();
          }),
        );
      });

      test('sock_sendfile() sends piece by piece if the system cannot send the file by itself, unless fallback is false', async ({
        loop,
        machine,
      }) => {
        await loop.runUntilComplete(() =>
          machine.withUnsendable(async (file, begins) => {
            const [near, far] = await connectedSockets(loop);
            await assert.rejects(
              async () => loop.sockSendfile(near, file, { count: 10, fallback: false }),
              (error) =>
                error instanceof SendfileNotAvailableError && error.code === 'ERR_SENDFILE_NOT_AVAILABLE',
            );
            assert.equal(await loop.sockSendfile(near, file, { count: 10 }), 10);
            assert.match(String(await loop.sockRecv(far, 100)), begins);
            near.close();
            far.close();
          }),
        );
      });

      test('sock_recv() that is cancelled has received nothing', async ({ loop }) => {
        await loop.runUntilComplete(async () => {
          const [near, far] = await connectedSockets(loop);
          const receiving = loop.sockRecv(near, 10);
          await loop.sockSendall(far, 'hello');
          receiving.cancel();
          await assert.rejects(async () => receiving, { code: 'ERR_CANCELLED' });
          assert.equal(String(await loop.sockRecv(near, 10)), 'hello');
          near.close();
          far.close();
        });
      });

      test('sock_recv() fails when its socket is closed meanwhile', async ({ loop }) => {
        await loop.runUntilComplete(async () => {
          const [near, far] = await connectedSockets(loop);
          const receiving = loop.sockRecv(near, 10);
          near.close();
          await assert.rejects(async () => receiving, { code: 'EBADF' });
          far.close();
        });
      });

      test('sock_recv_into() receives into a buffer', async ({ loop }) => {
        await loop.runUntilComplete(async () => {
          const [near, far] = await connectedSockets(loop);
          const buffer = Buffer.alloc(8, '.');
          const receiving = loop.sockRecvInto(near, buffer);
          await loop.sockSendall(far, 'hello');
          assert.deepEqual([await receiving, String(buffer)], [5, 'hello...']);
          near.close();
          far.close();
        });
      });

      test('sock_sendto(), sock_recvfrom() and sock_recvfrom_into() exchange datagrams and addresses', async ({
        loop,
      }) => {
        await loop.runUntilComplete(async () => {
          using one = new Socket(AF_INET, SOCK_DGRAM);
          using other = new Socket(AF_INET, SOCK_DGRAM);
          other.bind(['127.0.0.1', 0]);
          one.bind(['127.0.0.1', 0]);
          assert.equal(await loop.sockSendto(one, 'hello', addressOf(other)), 5);
          const [data, address] = await loop.sockRecvfrom(other, 100);
          assert.deepEqual([String(data), address], ['hello', addressOf(one)]);
          const buffer = Buffer.alloc(3);
          const receiving = loop.sockRecvfromInto(one, buffer);
          await loop.sockSendto(other, 'back again', addressOf(one));
          assert.deepEqual(await receiving, [3, addressOf(other)]);
          assert.equal(String(buffer), 'bac');
        });
      });
    },
    'sockets',
  );
}

/** Descriptors for tests of the native backend: pipes, sockets, and the check that none is left open. */
import assert from 'node:assert/strict';
import { closeSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { addon } from '../../src/backend/uv/dispatch.ts';
import type { BaseEventLoop, SocketAddress } from '../../src/index.ts';
import { AF_INET, AF_INET6, AF_UNIX, Socket, sleep, UvEventLoop } from '../../src/index.ts';
import { whyNoNativeBackend } from '../../src/loops/uv-event-loop.ts';
import { hostPass } from './host-pass.ts';
import type { Reports } from './loop-fixture.ts';
import { withLoop } from './loop-fixture.ts';

/** For `skip`: the reason why there is no native backend here. */
export const noNative: string | false = whyNoNativeBackend()?.reason ?? false;

/** The poll phases of the host that a close may need. */
const PASSES = 200;

/** Runs `body` as a task on a native loop, and checks that nothing is left in the loop, and no descriptor. */
export function onUv(body: (loop: UvEventLoop, reports: Reports) => Promise<void>): () => Promise<void> {
  return async () => {
    const before = openEnds();
    await withLoop(
      () => new UvEventLoop(),
      (loop, reports) => loop.runUntilComplete(() => body(loop, reports)),
    );
    for (let pass = 0; pass < PASSES && openEnds() > before; pass++) await hostPass();
    assert.ok(openEnds() <= before, `${openEnds()} sockets, pipes and sets are open, and ${before} before`);
  };
}

/** Counts sockets, pipes and epoll sets of this process. Other threads open files at any time. */
export function openEnds(): number {
  return openDescriptors(/^(socket|pipe):|eventpoll/).length;
}

/** Returns the open descriptors of this process whose kind or path matches. */
export function openDescriptors(kind: RegExp): number[] {
  const fds = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return kind.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // The descriptor of the listing itself, or one that another thread has closed.
      return false;
    }
  });
  return fds.map(Number);
}

/** Waits for turns of the loop, with a poll of the host between them, so that ready events are delivered. */
export async function passes(count: number = 20): Promise<void> {
  for (let i = 0; i < count; i++) {
    await hostPass();
    await sleep(0);
  }
}

/** A reading and a writing end; `close()` closes those that are still open. */
export interface Ends {
  readonly from: number;
  readonly to: number;
  write(data: string): void;
  closeFrom(): void;
  closeTo(): void;
  close(): void;
}

export function pipe(): Ends {
  return ends(addon().pipe());
}

/** Both ends can be read and written. */
export function socketPair(): Ends {
  return ends(addon().socketPair());
}

function ends(pair: readonly [number, number] | number): Ends {
  assert.ok(typeof pair !== 'number');
  const [from, to] = pair;
  const open = new Set(pair);
  const end = (fd: number): void => {
    if (open.delete(fd)) closeSync(fd);
  };
  return {
    from,
    to,
    write: (data) => void writeSync(to, data),
    closeFrom: () => end(from),
    closeTo: () => end(to),
    close: () => {
      end(from);
      end(to);
    },
  };
}

/** Opens a listening socket on a free port, or in the abstract namespace. */
export function listening(family: number = AF_INET): Socket {
  const listener = new Socket(family);
  listener.bind(freeAddress(family));
  listener.listen();
  return listener;
}

export function freeAddress(family: number): SocketAddress {
  if (family === AF_UNIX) return '';
  return family === AF_INET6 ? ['::1', 0, 0, 0] : ['127.0.0.1', 0];
}

export function addressOf(socket: Socket): SocketAddress {
  return socket.getsockname() ?? assert.fail('the socket has no address');
}

/** Opens both sides of a connection. */
export async function connectedSockets(
  loop: BaseEventLoop,
  family: number = AF_INET,
): Promise<[near: Socket, far: Socket]> {
  using listener = listening(family);
  const near = new Socket(family);
  await loop.sockConnect(near, addressOf(listener));
  const [far] = await loop.sockAccept(listener);
  return [near, far];
}

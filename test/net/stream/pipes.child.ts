/**
 * Scenarios with a process's own standard streams: `node pipes.child.ts scenario`. Reports on its standard
 * error.
 */
import { readFileSync } from 'node:fs';
import type { Protocol, WriteTransport } from '../../../src/index.ts';
import { NodeEventLoop, UvEventLoop } from '../../../src/index.ts';

const [, , scenario = ''] = process.argv;
const loop = process.env.GYRE_TEST_BACKEND === 'uv' ? new UvEventLoop() : new NodeEventLoop();
const report = (word: string): void => {
  process.stderr.write(`${word}\n`);
};

/** Answers all input in capitals over `out`, until its end. */
function capitals(out: () => WriteTransport, ended: () => void): Protocol {
  return {
    dataReceived: (data) => out().write(String(data).toUpperCase()),
    eofReceived: () => report('eof'),
    connectionLost: (exception) => {
      report(`input lost: ${exception}`);
      ended();
    },
  };
}

async function echo(input: unknown, output: unknown): Promise<void> {
  const ended = loop.createFuture<void>();
  const lost = loop.createFuture<void>();
  const [out] = await loop.connectWritePipe(
    () => ({
      connectionLost: (exception: Error | null) => {
        report(`output lost: ${exception}`);
        lost.setResult(undefined);
      },
    }),
    output,
  );
  await loop.connectReadPipe(
    () =>
      capitals(
        () => out,
        () => ended.setResult(undefined),
      ),
    input,
  );
  await ended;
  out.close();
  await lost;
}

const scenarios: Record<string, () => Promise<void>> = {
  streams: async () => {
    await echo(process.stdin, process.stdout);
    console.log('printed after the end');
  },
  numbers: async () => {
    await echo(0, 1);
    console.log('printed after the end');
  },
  // Ends although its standard input stays open.
  leave: async () => {
    const received = loop.createFuture<void>();
    const [transport] = await loop.connectReadPipe(
      () => ({
        dataReceived: (data: Buffer) => {
          report(`read ${data}`);
          received.setResult(undefined);
        },
      }),
      process.stdin,
    );
    await received;
    transport.close();
  },
  // Two readers, one after the other.
  twice: async () => {
    for (let i = 0; i < 2; i++) {
      const line = loop.createFuture<string>();
      const gone = loop.createFuture<void>();
      const [transport] = await loop.connectReadPipe(
        () => ({
          dataReceived: (data: Buffer) => line.setResult(String(data)),
          connectionLost: () => gone.setResult(undefined),
        }),
        0,
      );
      report(`read ${await line}`);
      transport.close();
      await gone;
    }
  },
  // Its standard output has no reader.
  unread: async () => {
    const lost = loop.createFuture<Error | null>();
    const [out] = await loop.connectWritePipe(
      () => ({ connectionLost: (exception: Error | null) => lost.setResult(exception) }),
      process.stdout,
    );
    for (let i = 0; i < 5 && !lost.done(); i++) {
      out.write('nobody reads this\n');
      await loop.createTask(() => new Promise((resolve) => setImmediate(resolve)));
    }
    report(`output lost: ${((await lost) as NodeJS.ErrnoException).code}`);
  },
  // An inherited descriptor. Both of its directions are pipes.
  three: () => echo(3, 4),
  // Leaves its pipes and its loop open: they do not keep the process alive.
  idle: async () => {
    await loop.connectReadPipe(() => ({}), 3);
    await loop.connectWritePipe(() => ({}), 4);
    await loop.connectReadPipe(() => ({}), 0);
  },
  // A second transport would take the first one's data, under any name.
  both: async () => {
    const lost = loop.createFuture<void>();
    const protocol = { connectionLost: () => lost.setResult(undefined) };
    const [transport] = await loop.connectReadPipe(() => protocol, 0);
    for (const pipe of [0, process.stdin]) {
      try {
        await loop.connectReadPipe(() => ({}), pipe);
        report('taken twice');
      } catch (error) {
        report((error as { code: string }).code);
      }
    }
    transport.close();
    await lost;
    const [again] = await loop.connectReadPipe(() => ({}), process.stdin);
    again.close();
    report('read again');
  },
  // Streams that this process shares with others stay blocking, for it and for them.
  flags: async () => {
    const blocks = (): boolean[] =>
      [0, 1].map((fd) => {
        const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
        return (Number.parseInt(String(flags), 8) & 0o4000) === 0;
      });
    const ended = loop.createFuture<void>();
    const lost = loop.createFuture<void>();
    report(JSON.stringify(blocks()));
    const [out] = await loop.connectWritePipe(() => ({ connectionLost: () => lost.setResult(undefined) }), 1);
    await loop.connectReadPipe(
      () => ({
        dataReceived: (data: Buffer) => out.write(data),
        connectionLost: () => ended.setResult(undefined),
      }),
      0,
    );
    report(JSON.stringify(blocks()));
    await ended;
    out.close();
    await lost;
    report(JSON.stringify(blocks()));
  },
  refused: async () => {
    for (const [method, pipe] of [
      ['connectReadPipe', process.stdin],
      ['connectWritePipe', process.stdout],
      ['connectReadPipe', 0],
      ['connectWritePipe', 1],
    ] as const) {
      try {
        await loop[method](() => ({}), pipe);
        report(`${method} takes it`);
      } catch (error) {
        report(`${method}: ${(error as { code: string }).code}`);
      }
    }
  },
};

await loop.runUntilComplete(scenarios[scenario] as () => Promise<void>);
loop.setExceptionHandler((_loop, { message }) => report(message));
if (scenario !== 'idle') loop.close();
report(loop.isClosed() ? 'closed' : 'left open');

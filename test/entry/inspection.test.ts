/** Inspection of public objects never throws: in each state, on a closed loop, and from within a getter. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import * as gyre from '../../src/index.ts';
import { PIPE, Protocol, Queue, sleep } from '../../src/index.ts';
import { isNative, makeLoop, portOf } from '../helpers/pairs.ts';

/** Prints an object in each way. */
function printed(name: string, thing: object): void {
  const lines = [inspect(thing), String(thing), JSON.stringify({ thing }), inspect({ thing }), `${thing}`];
  for (const line of lines) assert.equal(typeof line, 'string', name);
  assert.doesNotMatch(String(inspect(thing)), /\n/, name);
  for (const depth of [0, 3, 9, null])
    assert.equal(typeof inspect(thing, { depth, showHidden: true }), 'string');
}

test('every public object prints while it is used, when it is closed, and when its loop is closed', async () => {
  const loop = makeLoop();
  const things: Record<string, object> = { loop };
  const check = (): void => {
    for (const [name, thing] of Object.entries(things)) printed(name, thing);
  };
  loop.setExceptionHandler(() => {});
  check();
  await loop.runUntilComplete(async () => {
    const { loop: _, ...primitives } = {
      loop,
      lock: new gyre.Lock(),
      event: new gyre.Event(),
      condition: new gyre.Condition(),
      semaphore: new gyre.Semaphore(0),
      bounded: new gyre.BoundedSemaphore(1),
      barrier: new gyre.Barrier(2),
      queue: new Queue(1),
      priority: new gyre.PriorityQueue(),
      lifo: new gyre.LifoQueue(),
      runner: new gyre.Runner(),
      threads: new gyre.ThreadPoolExecutor({ maxWorkers: 1 }),
      processes: new gyre.ProcessPoolExecutor({ maxWorkers: 1 }),
    };
    Object.assign(things, primitives);
    check();
    await primitives.lock.acquire();
    const future = loop.createFuture();
    Object.assign(things, {
      future,
      task: loop.createTask(() => primitives.lock.acquire()),
      failed: loop.createTask(() => Promise.reject(new Error('x'))),
      acquiring: primitives.semaphore.acquire(),
      getting: primitives.queue.get(),
      barred: primitives.barrier.wait(),
      handle: loop.callSoon(() => {}),
      timer: loop.callLater(3600, () => {}),
      sleeping: sleep(3600),
    });
    void gyre.taskGroup(async (group) => {
      things.group = group;
      group.createTask(() => sleep(3600));
      await sleep(3600);
    });
    void gyre.timeout(3600, async (scope) => {
      things.scope = scope;
      await sleep(3600);
    });
    await sleep(0);
    check();

    const server = await gyre.startServer(null, '127.0.0.1', 0);
    const [reader, writer] = await gyre.openConnection('127.0.0.1', portOf(server));
    const child = await gyre.createSubprocessExec(process.execPath, ['-v'], { stdin: PIPE, stdout: PIPE });
    const [process_] = await loop.subprocessExec(gyre.SubprocessProtocol, process.execPath, ['-v'], {});
    const datagrams = await gyre.openDatagramEndpoint({ localAddr: ['127.0.0.1', 0] });
    const plain = await loop.createServer(Protocol, '127.0.0.1', 0);
    Object.assign(things, {
      server,
      plain,
      reader,
      writer,
      child,
      process_,
      datagrams,
      transport: writer.transport,
      protocol: writer.transport.getProtocol(),
      endpoint: datagrams.transport,
      socket: writer.getExtraInfo('socket') as object,
      ...(isNative ? { own: new gyre.Socket() } : {}),
    });
    check();
    future.cancel();
    writer.close();
    datagrams.close();
    server.close();
    primitives.queue.shutdown();
    await primitives.runner.close();
    await primitives.threads.shutdown();
    await primitives.processes.shutdown();
    check();
    await child.wait();
    await process_[Symbol.asyncDispose]();
    if (isNative) (things.own as gyre.Socket).close();
    check();
  });
  check();
  loop.close();
  check();

  // Every class with a view of its own was looked at.
  for (const [name, value] of Object.entries(gyre)) {
    if (typeof value !== 'function' || !(inspect.custom in ((value.prototype ?? {}) as object))) continue;
    // The loop of this run stands for both of its classes.
    if (/^(Node|Uv)EventLoop$/.test(name) || (!isNative && name === 'Socket')) continue;
    const seen = Object.values(things).some((thing) => thing instanceof (value as never));
    assert.ok(seen, `no ${name} was inspected`);
  }
});

test('an object that a getter or a method of its own prints has an empty line there, and no endless one', () => {
  const lines: string[] = [];
  class Printing extends Queue {
    override qsize(): number {
      lines.push(inspect(this), String(this), JSON.stringify(this));
      return super.qsize();
    }

    get shown(): string {
      return inspect(this);
    }
  }
  const queue = new Printing();
  assert.equal(inspect(queue), 'Printing { 0 items }');
  assert.deepEqual(lines, ['Printing {}', 'Printing {}', '"Printing {}"']);
  assert.equal(queue.shown, 'Printing { 0 items }');
  assert.match(inspect(queue, { getters: true, depth: 5 }), /^Printing \{ 0 items \}/);
});

test('a getter that throws, and a class name that is no text, leave the line short', () => {
  class Odd extends Queue {
    static override readonly name = 5 as never;

    override get maxsize(): number {
      throw new Error('no');
    }

    override qsize(): number {
      throw new Error('no');
    }
  }
  const odd = new Odd();
  for (const line of [inspect(odd), String(odd), inspect(odd, { depth: 5 })])
    assert.match(line, /^Object \{\}/);
  class Tagged extends Queue {
    get [Symbol.toStringTag](): string {
      throw new Error('no');
    }
  }
  assert.equal(String(new Tagged()), 'Object { 0 items }');
});

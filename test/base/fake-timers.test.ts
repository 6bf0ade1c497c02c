import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const index = new URL('../../src/index.ts', import.meta.url).href;

/** Replaces the host's timers by fakes that never fire, as test runners do. */
const FAKE_TIMERS = `
  const fake = (name) => Object.assign(() => ({ unref() {} }), { clock: {} });
  for (const name of ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate']) {
    globalThis[name] = fake(name);
  }
  performance.now = () => 0;`;
/** With fake timers Node's own sockets wait for ever; the native backend needs no timers of the host. */
const FAKE_TICKS = `
  globalThis.queueMicrotask = fake('queueMicrotask');
  process.nextTick = fake('nextTick');`;

function output(program: string): string {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      ...process.execArgv.filter((arg) => !arg.startsWith('--test')),
      '--input-type=module',
      '--eval',
      program,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  assert.equal(stderr, '');
  return stdout.trim();
}

for (const [loopClass, fakes] of [
  ['NodeEventLoop', FAKE_TIMERS],
  ['UvEventLoop', FAKE_TIMERS + FAKE_TICKS],
] as const) {
  test(`${loopClass} keeps running timers and connections when fake timers are installed after gyre is loaded`, (t) => {
    const program = `
      const gyre = await import(${JSON.stringify(index)});
      ${fakes}
      let loop;
      try { loop = new gyre.${loopClass}(); } catch { console.log('not here'); process.exit(); }
      class Echo extends gyre.Protocol {
        connectionMade(transport) { this.transport = transport; }
        dataReceived(data) { this.transport.write(data); }
      }
      await loop.runUntilComplete(async () => {
        await gyre.sleep(0.01);
        const server = await loop.createServer(() => new Echo(), '127.0.0.1', 0);
        const [reader, writer] = await gyre.openConnection('127.0.0.1', server.sockets[0].getsockname()[1]);
        writer.write('there and back');
        console.log(String(await reader.readexactly(14)));
        writer.close();
        await writer.waitClosed();
        server.close();
        await server.waitClosed();
      });
      loop.close();
      console.log('closed');
      process.exit();`;
    const said = output(program);
    if (said === 'not here') t.skip('the native backend is not built');
    else assert.equal(said, 'there and back\nclosed');
  });
}

test('a loop reports fake timers at once if they were installed before gyre is loaded', () => {
  const program = `
    ${FAKE_TIMERS}
    const { run, sleep } = await import(${JSON.stringify(index)});
    console.log(await (async () => run(() => sleep(0)))().catch(({ code, message }) => code + ': ' + message));
    process.exit();`;
  const said = output(program);
  assert.match(said, /^ERR_UNSUPPORTED: setTimeout, .*setImmediate, now had been replaced by fake timers/);
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { ABI } from '../src/backend/uv/addon.ts';
import { SimulatedEventLoop } from '../src/entry/sim.ts';
import type { BaseEventLoop } from '../src/index.ts';
import {
  backendInfo,
  DefaultEventLoopPolicy,
  getEventLoop,
  getEventLoopPolicy,
  getRunningLoop,
  NodeEventLoop,
  newEventLoop,
  setEventLoop,
  setEventLoopPolicy,
  UvEventLoop,
} from '../src/index.ts';
import { whyNoNativeBackend } from '../src/loops/uv-event-loop.ts';
import { loaderOptions } from './helpers/typescript.ts';

// test/conformance/functions-and-policy.suite.ts tests the functions themselves.

const given = process.env.GYRE_BACKEND;

afterEach(() => {
  setEventLoopPolicy(null);
  if (given === undefined) delete process.env.GYRE_BACKEND;
  else process.env.GYRE_BACKEND = given;
});

function choice(): { backend: string; reason: string } {
  const { drain: _, ...chosen } = backendInfo();
  return chosen;
}

test('backendInfo() tells how the loops of this thread drain microtasks, once one has run', async () => {
  const program = `
    const { backendInfo, run, sleep } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)});
    const before = backendInfo().drain;
    await run(() => sleep(0));
    console.log(before, backendInfo().drain);`;
  const drainsWith = (env: Record<string, string>): string => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--no-warnings', ...loaderOptions, '--input-type=module', '--eval', program],
      { encoding: 'utf8', env: { ...process.env, ...env } },
    );
    assert.equal(stderr, '');
    return stdout.trim();
  };
  assert.equal(drainsWith({ GYRE_DRAIN: '' }), 'null tick');
  assert.equal(drainsWith({ GYRE_DRAIN: 'host' }), 'null host');
});

test('newEventLoop() is native if possible, else portable, and backendInfo() tells the reason', () => {
  delete process.env.GYRE_BACKEND;
  const missing = whyNoNativeBackend();
  const loop = newEventLoop();
  assert.ok(loop instanceof (missing === null ? UvEventLoop : NodeEventLoop));
  loop.close();
  if (missing === null)
    assert.deepEqual(choice(), { backend: 'uv', reason: 'the native backend is available' });
  else assert.deepEqual(choice(), { backend: 'node', reason: missing.reason });
});

/** A native build, from a program's side. */
function seen(native: string): { backend: string; reason: string; warnings: string[] } {
  const program = `
    const { backendInfo, newEventLoop } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)});
    const warnings = [];
    process.on('warning', ({ code, message }) => warnings.push(code + ': ' + message));
    for (let i = 0; i < 3; i++) newEventLoop().close();
    await new Promise((resolve) => setImmediate(resolve));
    console.log(JSON.stringify({ ...backendInfo(), warnings }));`;
  const { GYRE_BACKEND: _, ...env } = process.env;
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--no-warnings', ...loaderOptions, '--input-type=module', '--eval', program],
    { encoding: 'utf8', env: { ...env, GYRE_NATIVE: native } },
  );
  assert.deepEqual([status, stderr], [0, '']);
  return JSON.parse(stdout);
}

for (const [what, content, reason] of [
  ['is not there', null, /cannot be loaded: Cannot find module/],
  ['is no library', 'text', /cannot be loaded: /],
  ['is of another version', 'exports.abi = 1;', /was built for another version of gyre/],
  ['finds no memory', 'exports.abi = ABI; exports.open = () => null;', /could not allocate its memory/],
  ['fails', 'throw new Error("a bug");', /cannot be loaded: a bug/],
] as const) {
  test(`a native build that ${what} is reported once, and the portable backend is used`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'gyre-policy-'));
    try {
      const file = join(
        folder,
        content?.includes('exports') || content?.includes('throw') ? 'native.cjs' : 'native.node',
      );
      if (content !== null) writeFileSync(file, content.replace('ABI', String(ABI)));
      const { backend, reason: given, warnings } = seen(file);
      assert.equal(backend, 'node');
      assert.match(given, reason);
      assert.deepEqual(warnings, [`GYRE_NO_NATIVE: the portable backend is used, because ${given}`]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test('GYRE_BACKEND forces the choice, and an unknown value throws with the accepted ones', () => {
  process.env.GYRE_BACKEND = 'node';
  assert.deepEqual(choice(), { backend: 'node', reason: 'GYRE_BACKEND requests it' });
  process.env.GYRE_BACKEND = '';
  assert.notEqual(backendInfo().reason, 'GYRE_BACKEND requests it');
  process.env.GYRE_BACKEND = 'uv';
  const missing = whyNoNativeBackend();
  if (missing === null) {
    assert.deepEqual(choice(), { backend: 'uv', reason: 'GYRE_BACKEND requests it' });
    const loop = newEventLoop();
    assert.ok(loop instanceof UvEventLoop);
    loop.close();
  } else {
    assert.throws(() => newEventLoop(), {
      code: 'ERR_UNSUPPORTED',
      message: `GYRE_BACKEND=uv: ${missing.reason}`,
    });
  }
  process.env.GYRE_BACKEND = 'epoll';
  const unsupported = { name: 'LoopError', code: 'ERR_UNSUPPORTED', message: /GYRE_BACKEND=epoll: .*node/ };
  assert.throws(() => backendInfo(), unsupported);
  assert.throws(() => newEventLoop(), unsupported);
});

test('DefaultEventLoopPolicy makes no second loop after setEventLoop(null)', () => {
  const policy = new DefaultEventLoopPolicy();
  policy.setEventLoop(null);
  assert.throws(() => policy.getEventLoop(), {
    name: 'LoopError',
    code: 'ERR_NO_EVENT_LOOP',
    message: 'no event loop was set for the main thread: call setEventLoop() first',
  });
});

test('a subclass of DefaultEventLoopPolicy makes the loops of getEventLoop(), newEventLoop() and run()', async () => {
  class VirtualTimePolicy extends DefaultEventLoopPolicy {
    override newEventLoop(): BaseEventLoop {
      return new SimulatedEventLoop();
    }
  }
  setEventLoopPolicy(new VirtualTimePolicy());
  const loop = getEventLoop();
  assert.ok(loop instanceof SimulatedEventLoop);
  assert.equal(getEventLoop(), loop);
  assert.ok(newEventLoop() instanceof SimulatedEventLoop);
  const { run } = await import('../src/index.ts');
  assert.ok(await run(async () => getRunningLoop() instanceof SimulatedEventLoop));
  loop.close();
});

test('each policy has a loop of its own', () => {
  const first = getEventLoop();
  setEventLoopPolicy(new DefaultEventLoopPolicy());
  const second = getEventLoop();
  assert.notEqual(first, second);
  first.close();
  second.close();
});

test('a policy that throws fails its caller with the same error', () => {
  const bug = new Error('no loop today');
  const fail = (): never => {
    throw bug;
  };
  setEventLoopPolicy({ getEventLoop: fail, setEventLoop: fail, newEventLoop: fail });
  assert.throws(() => getEventLoop(), bug);
  assert.throws(() => newEventLoop(), bug);
  assert.throws(() => setEventLoop(null), bug);
});

test('setEventLoop() accepts an event loop or null only, and changes nothing otherwise', () => {
  const loop = getEventLoop();
  for (const value of [undefined, 5, 'loop', {}, { callSoon() {} }, NodeEventLoop]) {
    for (const set of [setEventLoop, (one: never) => getEventLoopPolicy().setEventLoop(one)]) {
      assert.throws(() => set(value as never), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: /^The "loop" argument must be an event loop or null; got /,
      });
    }
  }
  assert.equal(getEventLoop(), loop);
  loop.close();
});

test('setEventLoopPolicy() accepts an object with the three methods, and names a missing one', () => {
  const policy = getEventLoopPolicy();
  const methods = { getEventLoop() {}, setEventLoop() {}, newEventLoop() {} };
  for (const value of [undefined, 5, 'policy', () => {}]) {
    assert.throws(() => setEventLoopPolicy(value as never), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^The "policy" argument must be a policy or null; got /,
    });
  }
  for (const name of Object.keys(methods)) {
    assert.throws(() => setEventLoopPolicy({ ...methods, [name]: 5 } as never), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: `The "policy.${name}" argument must be a function; got 5`,
    });
  }
  assert.equal(getEventLoopPolicy(), policy);
});

test('getEventLoop() on the main thread makes a loop that does not run', () => {
  const loop = getEventLoop();
  assert.equal(loop.isRunning(), false);
  assert.equal(getEventLoopPolicy().getEventLoop(), loop);
  loop.close();
});

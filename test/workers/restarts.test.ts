/** `serveWorkers`: workers that die, and restarts one by one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoopError } from '../../src/index.ts';
import { onNode } from '../helpers/pairs.ts';
import { askOnce, Client, lines, serve } from './programs.ts';

const broken = (name: string) => new URL(`./${name}.child.ts`, import.meta.url);

test(
  'a restart of all workers under load refuses and cuts no connection',
  onNode(async (loop) => {
    await using workers = await serve(loop, lines);
    let restarted = false;
    const restart = workers.restart();
    restart.addDoneCallback(() => {
      restarted = true;
    });
    const answers: string[] = [];
    const ask = async (): Promise<void> => {
      while (!restarted || answers.length < 100) answers.push(await askOnce(workers.port, 'who'));
    };
    await Promise.all(Array.from({ length: 16 }, ask));
    await restart;
    assert.equal(answers.filter((answer) => answer === '').length, 0);
    assert.deepEqual(
      workers.workers.map(({ generation }) => generation),
      [2, 2],
    );
    assert.match(await askOnce(workers.port, 'who'), /^\d 2 /);
  }),
);

test(
  'a worker that dies loses its own connections only, and is started again',
  onNode(async (loop) => {
    await using workers = await serve(loop, lines);
    const clients = new Map<string, Client>();
    while (clients.size < 2) {
      const client = new Client(workers.port);
      const worker = (await client.ask('who')).slice(0, 1);
      if (clients.has(worker)) await client.close();
      else clients.set(worker, client);
    }
    const [first, second] = [clients.get('1') as Client, clients.get('2') as Client];
    assert.equal(await first.ask('exit'), '');
    assert.match(await second.ask('who'), /^2 1 /);
    while (!(await askOnce(workers.port, 'who')).startsWith('1 2 '));
    assert.match(await second.ask('who'), /^2 1 /);
    await second.close();
  }),
);

test(
  'a crash loop ends all workers, and serveForever() rejects with the first error',
  onNode(async (loop) => {
    const workers = await serve(loop, lines, { maxRestarts: 1 });
    const served = workers.serveForever();
    const end = served.then(
      () => null,
      (error: unknown) => error,
    );
    let done = false;
    served.addDoneCallback(() => {
      done = true;
    });
    while (!done) {
      const client = new Client(workers.port);
      await client.ask('exit');
      await client.close();
    }
    const error = (await end) as LoopError;
    assert.ok(error instanceof LoopError);
    assert.equal(error.code, 'ERR_WORKER_FAILED');
    assert.match(
      error.message,
      /^worker \d died 2 times in a row, first because: worker \d exited with code 3$/,
    );
  }),
);

test(
  'a restart during a restart is one more restart for all of its callers',
  onNode(async (loop) => {
    await using workers = await serve(loop, lines, { workers: 1 });
    await Promise.all([workers.restart(), workers.restart(), workers.restart()]);
    assert.equal(workers.workers[0]?.generation, 3);
  }),
);

for (const [name, cause] of [
  ['no-main', /main/],
  ['throws', /thrown at load/],
] as const) {
  test(
    `serveWorkers rejects with the error of a module that cannot run: ${name}`,
    onNode(async (loop) => {
      await assert.rejects(
        async () => await serve(loop, broken(name)),
        (error: LoopError) => {
          assert.equal(error.code, 'ERR_WORKER_FAILED');
          assert.match((error.cause as Error).message, cause);
          return true;
        },
      );
    }),
  );
}

test(
  'serveWorkers kills a worker whose module blocks, and says so',
  onNode(async (loop) => {
    await assert.rejects(async () => await serve(loop, broken('blocks'), { workers: 1, startTimeout: 0.5 }), {
      code: 'ERR_WORKER_FAILED',
      message: /not ready after 0.5 s/,
    });
  }),
);

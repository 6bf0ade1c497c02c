/**
 * A program for tests of signals: `node runner.child.ts <scenario>`. Prints "ready" when a signal may come.
 */
import { CancelledError, getRunningLoop, Protocol, Runner, run, sleep } from '../src/index.ts';

const FOREVER = 3600;

/** Waits for a signal; then cleans up, for as long as `cleanup` takes. */
async function waiting(cleanup: () => Promise<unknown> = () => sleep(0.001)): Promise<void> {
  try {
    console.log('ready');
    await sleep(FOREVER);
  } finally {
    console.log('cleaning up');
    await cleanup();
    console.log('cleaned up');
  }
}

async function told(result: Promise<unknown>): Promise<void> {
  await result.catch((error: Error) => console.log(`${error.name}: ${error.message}, ${error.cause}`));
  const left = process.listenerCount('SIGINT') + process.listenerCount('SIGTERM');
  console.log(`${left} listeners left`);
}

function myOwnListener(): void {
  console.log('my own listener');
  process.exit(3);
}

/** Leaves a task and a server, and a cleanup that is not done when the report comes. */
async function named(): Promise<void> {
  const loop = getRunningLoop();
  await loop.createServer(() => new Protocol(), '127.0.0.1', 0);
  loop.createTask(() => sleep(FOREVER), { name: 'helper' });
  await waiting(async () => {
    await sleep(1.5);
    console.log('enough');
    await sleep(FOREVER);
  });
}

/** A task that main leaves behind. */
function rest(cleanup: () => PromiseLike<unknown>): void {
  const body = async (): Promise<void> => {
    try {
      await sleep(FOREVER);
    } finally {
      console.log('rest cleans up');
      await cleanup();
      console.log('rest cleaned up');
    }
  };
  getRunningLoop().createTask(body, { name: 'rest' });
}

const scenarios: Record<string, () => Promise<unknown>> = {
  plain: () => told(run(() => waiting())),

  'endless cleanup': () => run(() => waiting(() => sleep(FOREVER))),

  'named cleanup': () => run(named),

  'named cleanup, debug': () => run(named, { debug: true }),

  'slow rest': async () => {
    await run(async () => {
      const loop = getRunningLoop();
      const named = loop.createFuture<void>();
      loop.setExceptionHandler((_loop, context) => {
        loop.defaultExceptionHandler(context);
        named.setResult();
      });
      rest(() => named);
      console.log('ready');
      await sleep(0.001);
      console.log('main is done');
    });
    console.log('the end');
  },

  'endless rest': () =>
    run(async () => {
      rest(() => sleep(FOREVER));
      try {
        console.log('ready');
        await sleep(FOREVER);
      } finally {
        console.log('main is done');
      }
    }),

  'own listener': () => {
    process.on('SIGINT', myOwnListener);
    return run(() => waiting()).finally(() => process.removeListener('SIGINT', myOwnListener));
  },

  'listener in main': () =>
    run(async () => {
      // A library that kills the process if no other code listens: it must not count gyre's listener.
      process.once('SIGINT', () => {
        setImmediate(() => console.log(`my own listener, one of ${seen}`));
      });
      let seen = 0;
      process.nextTick(() => {
        seen = process.listenerCount('SIGINT');
      });
      await waiting(() => sleep(FOREVER));
    }),

  handler: () =>
    told(
      run(async () => {
        let count = 0;
        getRunningLoop().addSignalHandler('SIGTERM', () => console.log(`handler ${++count}`));
        await waiting();
      }),
    ),

  swallow: async () => {
    const result = await run(async () => {
      try {
        console.log('ready');
        await sleep(FOREVER);
      } catch (error) {
        if (error instanceof CancelledError) console.log('swallowed');
      }
      return 'result';
    });
    console.log(result);
  },

  'left alone': () => run(() => waiting()),

  resent: () =>
    run(() => waiting()).catch((error: Error) => process.kill(process.pid, error.cause as NodeJS.Signals)),

  'two runs': async () => {
    await using runner = new Runner();
    for (const i of [1, 2]) {
      await runner
        .run(async () => {
          console.log(`ready ${i}`);
          await sleep(FOREVER);
        })
        .catch((error) => console.log(error instanceof CancelledError && `interrupted ${i}`));
    }
    console.log('between');
    // biome-ignore lint/style/noRestrictedGlobals: no loop runs here, and a signal is to come
    await new Promise((resolve) => setTimeout(resolve, 10_000));
  },

  'two at once': async () => {
    const main = async (): Promise<void> => {
      await sleep(FOREVER);
    };
    const results = ['a', 'b'].map((name) =>
      run(main).catch((error: Error) => console.log(`${name} ${error.name}`)),
    );
    setImmediate(() => console.log('ready'));
    await Promise.all(results);
  },
};

await (scenarios[process.argv[2] as string] as () => Promise<unknown>)();

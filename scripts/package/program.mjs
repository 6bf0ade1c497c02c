// The program that bundles.mjs bundles. It uses what a program may use of gyre, and prints what worked.

import {
  backendInfo,
  createSubprocessExec,
  openConnection,
  PIPE,
  ProcessPoolExecutor,
  run,
  sleep,
  startServer,
  ThreadPoolExecutor,
} from 'gyre';

const { CERTIFICATE: cert, KEY: key, NODE = '' } = process.env;

/**
 * @param {object} [serverOptions]
 * @param {object} [clientOptions]
 */
async function echo(serverOptions, clientOptions) {
  const server = await startServer(
    async (reader, writer) => {
      writer.write(await reader.readline());
      await writer.drain();
      writer.close();
    },
    '127.0.0.1',
    0,
    serverOptions,
  );
  const address = server.sockets[0]?.getsockname();
  const port = Number(address?.[1]);
  const [reader, writer] = await openConnection('127.0.0.1', port, clientOptions);
  writer.write('hello\n');
  const line = await reader.readline();
  writer.close();
  server.close();
  server.closeClients();
  await server.waitClosed();
  return line.toString() === 'hello\n';
}

async function subprocess() {
  const child = await createSubprocessExec(NODE, ['-e', 'console.log(6 * 7)'], { stdout: PIPE });
  const [output] = await child.communicate();
  return String(output) === '42\n';
}

/** @param {new (options: object) => ThreadPoolExecutor | ProcessPoolExecutor} Pool */
async function pool(Pool) {
  const workers = new Pool({ maxWorkers: 1 });
  try {
    return (await workers.submit((/** @type {number} */ a, /** @type {number} */ b) => a + b, [2, 3])) === 5;
  } finally {
    await workers.shutdown();
  }
}

/** @type {Record<string, () => Promise<boolean>>} */
const parts = {
  sleep: async () => (await sleep(0.001, 'slept')) === 'slept',
  tcp: () => echo(),
  tls: () => echo({ ssl: { cert, key } }, { ssl: { ca: cert }, serverHostname: 'localhost' }),
  subprocess,
  threads: () => pool(ThreadPoolExecutor),
  processes: () => pool(ProcessPoolExecutor),
};

async function main() {
  const said = [];
  for (const [name, part] of Object.entries(parts)) {
    try {
      said.push((await part()) ? name : `${name} is wrong`);
    } catch (error) {
      const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
      said.push(`${name} ${code}`);
      console.error(code, message);
    }
  }
  console.log(`${backendInfo().backend}: ${said.join(', ')}`);
}

run(main).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

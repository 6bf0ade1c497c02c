import { openConnection, run, sleep, startServer, TimeoutError, timeout } from 'gyre';

async function askPrice(port: number): Promise<string> {
  const [reader, writer] = await openConnection('127.0.0.1', port);
  try {
    writer.write('price of tea\n');
    return String(await reader.readline());
  } finally {
    writer.close();
  }
}

await run(async () => {
  console.log(`process ${process.pid}`);
  await using server = await startServer(() => sleep(Infinity), '127.0.0.1', 0); // never answers
  const [, port] = server.sockets[0]!.getsockname() as [string, number];
  for (;;) {
    try {
      console.log(await timeout(0.05, () => askPrice(port)));
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      console.log('no answer in time');
    }
  }
});

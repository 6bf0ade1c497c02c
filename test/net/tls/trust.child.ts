/** Connects to a port with the default trust, and prints `trusted` or the code of the error. */
import { Protocol } from '../../../src/index.ts';
import { makeLoop } from '../../helpers/pairs.ts';

const loop = makeLoop();
await loop.runUntilComplete(async () => {
  try {
    const [transport] = await loop.createConnection(
      () => new Protocol(),
      '127.0.0.1',
      Number(process.argv[2]),
      {
        ssl: true,
        serverHostname: 'localhost',
      },
    );
    await transport[Symbol.asyncDispose]();
    console.log('trusted');
  } catch (error) {
    console.log((error as NodeJS.ErrnoException).code);
  }
});
loop.close();

/** Reads from a device, closes its transport, and has nothing more to do: `node devices.child.ts path`. */
import { openSync } from 'node:fs';
import { passes } from '../../helpers/descriptors.ts';
import { makeLoop, Recorder } from '../../helpers/pairs.ts';
import { bytesOf } from './devices.ts';

const path = process.argv[2] as string;

const loop = makeLoop();
await loop.runUntilComplete(async () => {
  const near = new Recorder();
  const [transport] = await loop.connectReadPipe(() => near, openSync(path, 'r'));
  // Then the reading thread waits.
  await near.untilReceived(bytesOf(path));
  await passes();
  transport.close();
  await near.untilLost();
});
loop.close();

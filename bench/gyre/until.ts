/** Records by `readuntil` of two separators, one of which is absent. */
import { run, StreamReader } from 'gyre';
import { measureCpu } from '../measure.ts';
import { CHUNK_RECORDS, chunkOfRecords } from '../message.ts';

const SEPARATORS = ['\0', '\n'];

const body = async (operations: number): Promise<number> => {
  const reader = new StreamReader();
  const chunk = chunkOfRecords();
  let done = 0;
  while (done < operations) {
    reader.feedData(chunk);
    for (let i = 0; i < CHUNK_RECORDS; i++) {
      await reader.readuntil(SEPARATORS);
      done += 1;
    }
  }
  return done;
};

await run(() => measureCpu(body));

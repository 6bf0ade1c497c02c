/** Reads lines from standard input, and writes each in capitals to standard output. */
import { getRunningLoop, run, StreamReader, StreamReaderProtocol, StreamWriter } from '../../src/index.ts';

await run(async () => {
  const loop = getRunningLoop();
  const reader = new StreamReader();
  const [, input] = await loop.connectReadPipe(() => new StreamReaderProtocol(reader), 0);
  const [transport, protocol] = await loop.connectWritePipe(
    () => new StreamReaderProtocol(new StreamReader()),
    1,
  );
  const writer = new StreamWriter(transport, protocol);
  for await (const line of reader.lines()) {
    writer.write(line.toString().toUpperCase());
    await writer.drain();
  }
  writer.close();
  await Promise.all([input.waitClosed(), writer.waitClosed()]);
});

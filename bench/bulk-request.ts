/**
 * The request of load/bulk.c to a server, in one line: `<writes> <bytes a write>`. It is short and comes
 * first, so it arrives whole.
 */
export function readRequest(data: Uint8Array): { writes: number; size: number } {
  const [, writes, size] = /^(\d+) (\d+)\n$/.exec(Buffer.from(data).toString()) ?? [];
  if (writes === undefined || size === undefined) throw new Error('this is no request');
  return { writes: Number(writes), size: Number(size) };
}

/**
 * The standard descriptors that have a transport, of any backend. A second transport in the same direction
 * would take its data. These descriptors belong to the process, so gyre never closes them.
 */
export const LAST_STDIO = 2;

const owned: Set<string> = new Set();

export function isStdioTaken(fd: number, direction: 'read' | 'write'): boolean {
  return owned.has(`${fd} ${direction}`);
}

export function takeStdio(fd: number, direction: 'read' | 'write'): void {
  owned.add(`${fd} ${direction}`);
}

export function releaseStdio(fd: number, direction: 'read' | 'write'): void {
  owned.delete(`${fd} ${direction}`);
}

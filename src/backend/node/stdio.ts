/**
 * Which of the process's first descriptors have a transport, of whatever backend: a second one in that
 * direction would take its data. Those descriptors are the process's own: nobody closes them.
 */
export const LAST_STDIO = 2;

const taken: Set<string> = new Set();

export function isStdioTaken(fd: number, direction: 'read' | 'write'): boolean {
  return taken.has(`${fd} ${direction}`);
}

export function takeStdio(fd: number, direction: 'read' | 'write'): void {
  taken.add(`${fd} ${direction}`);
}

export function releaseStdio(fd: number, direction: 'read' | 'write'): void {
  taken.delete(`${fd} ${direction}`);
}

/** What stays within a simulated host: unix sockets, pipes, descriptors, names, signals, programs and files. */
import { Descriptors } from './descriptors.ts';
import type { HostFiles } from './files.ts';
import { MemoryFiles } from './files.ts';
import type { KernelPart, SimHost } from './host.ts';
import { LocalSockets } from './local-sockets.ts';

export class Machine implements KernelPart {
  readonly host: SimHost;
  readonly descriptors: Descriptors = new Descriptors();
  /** The files in memory. Unix sockets have their files here. */
  readonly memory: MemoryFiles = new MemoryFiles();
  /** The files that programs read: those in memory, or another file system with the same methods. */
  files: HostFiles = this.memory;
  readonly unix: LocalSockets;

  constructor(host: SimHost) {
    this.host = host;
    this.unix = new LocalSockets(host, this.memory);
    host.addPart(this);
  }

  /** Forgets everything but the files. */
  crash(): void {
    this.descriptors.clear();
    this.unix.clear();
  }
}

/**
 * The part of a kernel that stays within its host: unix sockets, pipes, descriptors, names, signals, programs
 * and files.
 */

import { SimJobs } from '../executor.ts';
import type { KernelPart, SimHost } from '../host.ts';
import { LocalSockets } from '../local/local-sockets.ts';
import { Descriptors } from './descriptors.ts';
import type { HostFiles } from './files.ts';
import { MemoryFiles } from './files.ts';
import { HostNames } from './names.ts';
import { Programs } from './programs.ts';
import { ProgramSignals } from './signals.ts';

export class Machine implements KernelPart {
  readonly host: SimHost;
  readonly descriptors: Descriptors = new Descriptors();
  /** The files in memory. Unix sockets have their files here. */
  readonly memory: MemoryFiles = new MemoryFiles();
  /** The files that programs read: those in memory, or another file system with the same methods. */
  files: HostFiles = this.memory;
  readonly unix: LocalSockets;
  readonly names: HostNames;
  /** The handlers of code that belongs to no program of its own. */
  readonly signals: ProgramSignals;
  readonly programs: Programs;
  readonly jobs: SimJobs;

  constructor(host: SimHost) {
    this.host = host;
    this.unix = new LocalSockets(host, this.memory);
    this.names = new HostNames(host);
    this.signals = new ProgramSignals(host);
    this.programs = new Programs(host, this.descriptors, this.memory);
    this.jobs = new SimJobs(host);
    host.addPart(this);
  }

  /** Forgets everything but the files. */
  crash(): void {
    this.programs.crash();
    this.descriptors.clear();
    this.unix.clear();
    this.signals.clear();
  }
}

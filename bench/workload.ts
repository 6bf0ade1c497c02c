/**
 * The type of a workload. list.ts has all workloads.
 *
 * A peer is a runtime, and its name selects the program:
 *
 * | peer | program |
 * | --- | --- |
 * | `gyre-uv`, `gyre-node` | `gyre/<program>.ts` on that backend |
 * | `gyre` | the same, where no socket and no process is opened, so that the backend makes no difference |
 * | `libuv` | `libuv/<program>.c` |
 * | `asyncio`, `uvloop` | `asyncio/<program>.py` |
 * | `node` | `node/<program>.ts`: Node's own API, without gyre |
 * | `bun` | `bun/<program>.ts`: Bun's own API |
 * | `bun-node` | `node/<program>.ts`, run by Bun |
 *
 * A suffix names a second way to write the same program: `node-split` is `node/<program>-split.ts`.
 */

/** A number that one of gyre's peers should reach. Node versions below 26 must reach the first one. */
export interface Target {
  gyre: string;
  /** The other side; null for a figure that needs none. */
  peer: string | null;
  /**
   * `times`: gyre is at least so many times as fast as the peer. `more`: gyre's figure is at most so much
   * above the peer's. `figure`: gyre's own figure is at least (for a cost, at most) so much.
   */
  kind: 'times' | 'more' | 'figure';
  /** Null: nothing is asked for on this Node. */
  node20: number | null;
  node26: number | null;
}

interface Listed {
  name: string;
  title: string;
  /** The unit of the compared value. */
  unit: string;
  better: 'lower' | 'higher';
  program: string;
  peers: readonly string[];
  targets?: readonly Target[];
  /** Fewer than usual, where a program repeats its work itself or its figure hardly varies. */
  rounds?: number;
}

/** A program that measures itself. */
export interface ProcessWorkload extends Listed {
  kind: 'process';
  operations: number;
  /** Further numbers for the program. */
  sizes?: readonly number[];
}

/** A program that imports something and ends; measured by start.ts. */
export interface StartWorkload extends Listed {
  kind: 'start';
  unit: 'ms' | 'MiB';
}

/** The kinds of load over TLS; the two others are handshakes. */
export type TlsMode = 'tls-echo' | 'tls-full' | 'tls-resumed';

/** A server, measured from outside by load/, and its CPU time with it. */
export interface NetworkWorkload extends Listed {
  kind: 'network';
  mode: 'echo' | 'connect' | 'udp' | TlsMode;
  /** Over a unix socket, not TCP. */
  unix?: boolean;
  connections: number;
  messageBytes: number;
  /** Messages that each connection keeps in flight. */
  depth: number;
}

/** A server that sends as fast as it can, by writes of one size. */
export interface BulkWorkload extends Listed {
  kind: 'bulk';
  writeBytes: number;
  warmUpWrites: number;
  measuredWrites: number;
}

/** A server whose connections do nothing; measured by idle.ts. */
export interface IdleWorkload extends Listed {
  kind: 'idle';
  /** The connections are over TLS. */
  tls?: boolean;
  /** With none, the server itself is measured, in MiB. */
  connections: number;
  messageBytes: number;
}

/** Tells whether the server of a workload takes a certificate and its key as arguments. */
export function usesTls(workload: Workload): boolean {
  if (workload.kind === 'idle') return workload.tls === true;
  return workload.kind === 'network' && workload.mode.startsWith('tls-');
}

export type Workload = ProcessWorkload | NetworkWorkload | BulkWorkload | IdleWorkload | StartWorkload;

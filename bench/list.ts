/**
 * Every workload, with its size, its unit and what is asked of it. The numbers live here and nowhere else: programs are
 * given theirs as an argument.
 *
 * A peer is who runs: `gyre`, `asyncio`, `uvloop`, or `node` for Node's own primitives (`node-x` for a second way to write
 * the same thing). The program of `gyre` is `gyre/<program>.ts`, that of `node-x` is `node/<program>-x.ts`, that of asyncio
 * and of uvloop `asyncio/<program>.py`.
 */

/** Gyre is to be at least so many times as fast as the peer. Node versions below 26 are held to the first number. */
export interface Target {
  peer: string;
  node20: number;
  node26: number;
}

interface Listed {
  name: string;
  title: string;
  /** Of the value that is compared. */
  unit: string;
  better: 'lower' | 'higher';
  program: string;
  peers: readonly string[];
  targets?: readonly Target[];
}

/** A program that measures itself. */
export interface ProcessWorkload extends Listed {
  kind: 'process';
  operations: number;
}

/** A server, measured from outside by load/load.c. */
export interface NetworkWorkload extends Listed {
  kind: 'network';
  mode: 'echo' | 'connect';
  connections: number;
  messageBytes: number;
  /** Messages that each connection keeps in flight. */
  depth: number;
}

export type Workload = ProcessWorkload | NetworkWorkload;

const EVERYBODY = ['gyre', 'node', 'asyncio', 'uvloop'] as const;

const perOperation = { kind: 'process', unit: 'ns of CPU', better: 'lower', peers: EVERYBODY } as const;
const perSecond = { kind: 'network', better: 'higher', peers: EVERYBODY } as const;

const echo = {
  ...perSecond,
  unit: 'messages/s',
  program: 'echo',
  mode: 'echo',
  depth: 1,
  targets: [{ peer: 'node', node20: 0.95, node26: 0.95 }],
} as const;

export const WORKLOADS: readonly Workload[] = [
  {
    ...perOperation,
    name: 'callsoon',
    title: '`callSoon` of 500,000 callbacks from within a callback, and their run',
    program: 'callsoon',
    operations: 500_000,
    targets: [{ peer: 'uvloop', node20: 6, node26: 8 }],
  },
  {
    ...perOperation,
    name: 'callsoon-chain',
    title: '`callSoon` by each callback of the next one: one turn of the loop each',
    program: 'callsoon-chain',
    operations: 200_000,
  },
  {
    ...perOperation,
    name: 'sleep0',
    title: '`sleep(0)` over 100 tasks',
    program: 'sleep0',
    operations: 500_000,
    targets: [{ peer: 'uvloop', node20: 1.5, node26: 2.5 }],
  },
  {
    ...perOperation,
    name: 'timers',
    title: '200,000 timers over 0..200 ms, scheduled and run',
    program: 'timers',
    operations: 200_000,
    targets: [{ peer: 'uvloop', node20: 5, node26: 5 }],
  },
  {
    ...perOperation,
    name: 'timer-cancel',
    title: '500,000 timers, created and cancelled',
    program: 'timer-cancel',
    operations: 500_000,
    targets: [{ peer: 'uvloop', node20: 5, node26: 5 }],
  },
  {
    ...perOperation,
    name: 'queue',
    title: '`Queue` of one item, put and get between two tasks',
    program: 'queue-put-get',
    operations: 100_000,
    targets: [{ peer: 'uvloop', node20: 2, node26: 2 }],
  },
  {
    ...perOperation,
    name: 'lock',
    title: '`Lock`, uncontended: acquire and release',
    program: 'lock',
    operations: 500_000,
    targets: [{ peer: 'asyncio', node20: 1, node26: 1 }],
  },
  {
    ...perOperation,
    name: 'gather',
    title: '`gather` of 100,000 coroutines that end at once',
    program: 'gather',
    operations: 100_000,
  },
  {
    kind: 'process',
    name: 'lateness',
    title: 'How late timers of 1..50 ms are on an idle loop: the median (below zero is early)',
    unit: 'us',
    better: 'lower',
    program: 'lateness',
    peers: EVERYBODY,
    operations: 1000,
  },
  {
    ...echo,
    name: 'echo-1',
    title: 'TCP echo by protocol, 1 connection, 1 KiB',
    connections: 1,
    messageBytes: 1024,
  },
  {
    ...echo,
    name: 'echo-10',
    title: 'TCP echo by protocol, 10 connections, 1 KiB',
    connections: 10,
    messageBytes: 1024,
  },
  {
    ...echo,
    name: 'echo-100',
    title: 'TCP echo by protocol, 100 connections, 1 KiB',
    connections: 100,
    messageBytes: 1024,
  },
  {
    ...echo,
    name: 'echo-1000',
    title: 'TCP echo by protocol, 1,000 connections, 1 KiB',
    connections: 1000,
    messageBytes: 1024,
  },
  {
    ...echo,
    name: 'echo-64k',
    title: 'TCP echo by protocol, 10 connections, 64 KiB',
    connections: 10,
    messageBytes: 65_536,
  },
  {
    ...echo,
    name: 'streams',
    title: 'TCP echo by streams, 100 connections, 1 KiB (Node: `for await` over the socket)',
    program: 'streams',
    connections: 100,
    messageBytes: 1024,
    targets: [{ peer: 'node', node20: 1, node26: 1 }],
  },
  {
    ...echo,
    name: 'lines',
    title:
      'Line echo by `readline`, 100 connections, 32-byte lines, 16 in flight (Node: `node:readline`, split by hand)',
    unit: 'lines/s',
    program: 'lines',
    peers: ['gyre', 'node', 'node-split', 'asyncio', 'uvloop'],
    connections: 100,
    messageBytes: 32,
    depth: 16,
    targets: [{ peer: 'node', node20: 1.5, node26: 1.5 }],
  },
  {
    ...perSecond,
    name: 'connections',
    title: 'Connect, 64 bytes there and back, close; 32 at a time',
    unit: 'connections/s',
    program: 'echo',
    mode: 'connect',
    connections: 32,
    messageBytes: 64,
    depth: 1,
  },
];

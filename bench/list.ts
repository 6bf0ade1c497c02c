/**
 * Every workload, with its size, its unit and its targets. The numbers live here and nowhere else: programs
 * get theirs as an argument.
 */
import { asked, atMostMore, figure, on26 } from './targets.ts';
import type { Workload } from './workload.ts';

const SCHEDULERS = ['gyre', 'node', 'asyncio', 'uvloop'] as const;
const EVERYBODY = ['gyre-uv', 'gyre-node', 'libuv', 'uvloop', 'asyncio', 'node', 'bun'] as const;

const BY_STREAMS = ['gyre-uv', 'gyre-node', 'uvloop', 'asyncio', 'node', 'bun-node'] as const;

const MEBIBYTE = 2 ** 20;

/** The native backend is at least as fast as the portable one for every program. */
const NATIVE_PAYS = asked('gyre-uv', 1, 'gyre-node');
/** The most that gyre may cost on top of Node's socket. */
const NEARLY_NET = asked('gyre-node', 0.95, 'node');

const BY_PROTOCOL = [NATIVE_PAYS, NEARLY_NET] as const;
const AHEAD_AT_100 = [
  asked('gyre-uv', 1.5, 'node'),
  asked('gyre-uv', 1.1, 'uvloop'),
  asked('gyre-uv', 1.05, 'bun'),
  ...BY_PROTOCOL,
] as const;

const perOperation = {
  kind: 'process',
  unit: 'ns of CPU',
  better: 'lower',
  peers: SCHEDULERS,
  rounds: 1,
} as const;
const perSecond = { kind: 'network', better: 'higher', peers: EVERYBODY } as const;

/** A spawn takes at most 1.1 times as long as Bun's. */
const NEARLY_BUN = asked('gyre-uv', 1 / 1.1, 'bun');

const spawn = {
  kind: 'process',
  unit: 'us',
  better: 'lower',
  program: 'spawn',
  peers: EVERYBODY,
  rounds: 2,
  operations: 300,
} as const;

/** Connections that come and go. */
const churn = { ...perSecond, unit: 'connections/s', connections: 32, messageBytes: 64, depth: 1 } as const;

const AHEAD_OVER_TLS = [asked('gyre-uv', 1, 'uvloop'), asked('gyre-uv', 1, 'node'), NATIVE_PAYS] as const;

const threads = {
  kind: 'process',
  program: 'threads',
  rounds: 2,
  peers: ['gyre', 'node', 'node-workerpool', 'node-piscina', 'asyncio', 'uvloop', 'bun-node'],
} as const;
const processes = {
  kind: 'process',
  program: 'processes',
  rounds: 2,
  peers: ['gyre', 'node', 'node-workerpool', 'asyncio', 'uvloop', 'bun-node'],
} as const;

const idle = { kind: 'idle', unit: 'KiB', better: 'lower', messageBytes: 1024, rounds: 1 } as const;

const importing = {
  kind: 'start',
  better: 'lower',
  program: 'import',
  rounds: 1,
  peers: ['gyre', 'node', 'node-nothing'],
} as const;

const echo = { ...perSecond, unit: 'messages/s', program: 'echo', mode: 'echo', depth: 1 } as const;

export const WORKLOADS: readonly Workload[] = [
  {
    ...perOperation,
    name: 'callsoon',
    title: '`callSoon` of 500,000 callbacks from within a callback, and their run',
    program: 'callsoon',
    operations: 500_000,
    targets: [asked('gyre', 4.5, 'uvloop')],
  },
  {
    ...perOperation,
    name: 'callsoon-chain',
    title: '`callSoon` by each callback of the next one: one turn of the loop each',
    program: 'callsoon-chain',
    operations: 200_000,
    targets: [asked('gyre', 3, 'uvloop')],
  },
  {
    ...perOperation,
    name: 'sleep0',
    title: '`sleep(0)` over 100 tasks',
    program: 'sleep0',
    operations: 500_000,
    targets: [asked('gyre', 1.5, 'uvloop', 1.8)],
  },
  {
    ...perOperation,
    name: 'timers',
    title:
      '200,000 timers over 0..200 ms, scheduled and run (`simulated`: by 100 hosts of a simulated world)',
    program: 'timers',
    peers: [...SCHEDULERS, 'gyre-simulated'],
    operations: 200_000,
    targets: [asked('gyre', 5, 'uvloop'), on26(figure('gyre', 700))],
  },
  {
    ...perOperation,
    name: 'timer-cancel',
    title: '500,000 timers, created and cancelled',
    program: 'timer-cancel',
    operations: 500_000,
    targets: [asked('gyre', 5, 'uvloop')],
  },
  {
    ...perOperation,
    name: 'queue',
    title: '`Queue` of one item, put and get between two tasks',
    program: 'queue-put-get',
    operations: 100_000,
    targets: [asked('gyre', 2, 'uvloop', 4)],
  },
  {
    ...perOperation,
    name: 'lock',
    title: '`Lock`, uncontended: acquire and release',
    program: 'lock',
    operations: 500_000,
    targets: [asked('gyre', 1, 'asyncio')],
  },
  {
    ...perOperation,
    name: 'gather',
    title: '`gather` of 100,000 coroutines that end at once',
    program: 'gather',
    operations: 100_000,
  },
  {
    ...perOperation,
    name: 'until',
    title:
      '`readuntil` of two separators, one of them absent, over 200,000 records of 50 bytes (Node: by hand)',
    program: 'until',
    peers: ['gyre', 'node'],
    operations: 200_000,
    targets: [asked('gyre', 0.5, 'node')],
  },
  {
    ...perOperation,
    name: 'exchange',
    title:
      'Messages of 64 bytes between 100 hosts, each echoed over TCP before the next: a simulated world (`loopback`: the same program on the real loopback)',
    program: 'exchange',
    peers: ['gyre', 'gyre-uv-loopback', 'gyre-node-loopback'],
    operations: 200_000,
  },
  {
    kind: 'process',
    name: 'lateness',
    title: 'How late timers of 1..50 ms are on an idle loop: the median (below zero is early)',
    unit: 'us',
    better: 'lower',
    program: 'lateness',
    rounds: 1,
    peers: SCHEDULERS,
    operations: 1000,
  },
  {
    ...echo,
    name: 'echo-1',
    title: 'TCP echo by protocol, 1 connection, 1 KiB',
    connections: 1,
    messageBytes: 1024,
    targets: [asked('gyre-uv', 0.95, 'libuv'), ...BY_PROTOCOL],
  },
  {
    ...echo,
    name: 'echo-10',
    title: 'TCP echo by protocol, 10 connections, 1 KiB',
    connections: 10,
    messageBytes: 1024,
    targets: BY_PROTOCOL,
  },
  {
    ...echo,
    name: 'echo-100',
    title: 'TCP echo by protocol, 100 connections, 1 KiB',
    connections: 100,
    messageBytes: 1024,
    targets: [asked('gyre-uv', 0.93, 'libuv'), ...AHEAD_AT_100],
  },
  {
    ...echo,
    name: 'echo-1000',
    title: 'TCP echo by protocol, 1,000 connections, 1 KiB',
    connections: 1000,
    messageBytes: 1024,
    targets: BY_PROTOCOL,
  },
  {
    ...echo,
    name: 'echo-64k',
    title: 'TCP echo by protocol, 10 connections, 64 KiB (`buffered`: by a BufferedProtocol)',
    peers: [...EVERYBODY, 'gyre-uv-buffered'],
    connections: 10,
    messageBytes: 65_536,
    targets: [asked('gyre-uv', 0.9, 'libuv'), asked('gyre-uv-buffered', 0.9, 'libuv'), ...BY_PROTOCOL],
  },
  {
    ...echo,
    name: 'streams',
    title: 'TCP echo by streams, 100 connections, 1 KiB (Node and Bun: `for await` over the socket)',
    program: 'streams',
    peers: BY_STREAMS,
    connections: 100,
    messageBytes: 1024,
    targets: [
      asked('gyre-uv', 1.3, 'uvloop'),
      asked('gyre-uv', 1.3, 'node'),
      NATIVE_PAYS,
      asked('gyre-node', 1, 'node'),
    ],
  },
  {
    ...echo,
    name: 'lines',
    title:
      'Line echo by `readline`, 100 connections, 32-byte lines, 16 in flight, a write each (Node: `node:readline`; `split`: cut by hand; `cork`: one write for all the lines of a read)',
    unit: 'lines/s',
    program: 'lines',
    peers: [...EVERYBODY, 'node-split', 'libuv-cork', 'bun-cork'],
    connections: 100,
    messageBytes: 32,
    depth: 16,
    targets: [asked('gyre-uv', 2, 'uvloop'), NATIVE_PAYS, asked('gyre-node', 1.5, 'node')],
  },
  {
    ...echo,
    name: 'unix',
    title: 'Echo by protocol over a unix socket, 100 connections, 1 KiB',
    unix: true,
    connections: 100,
    messageBytes: 1024,
    targets: [asked('gyre-uv', 0.97, 'libuv'), ...AHEAD_AT_100],
  },
  {
    ...echo,
    name: 'udp',
    title:
      'UDP echo, 64 B, 8 sockets with 16 in flight each (`recvmmsg`: many received at once; `mmsg`: also sent at once)',
    peers: [...EVERYBODY, 'libuv-recvmmsg', 'libuv-mmsg'],
    program: 'udp',
    mode: 'udp',
    connections: 8,
    messageBytes: 64,
    depth: 16,
    targets: [
      asked('gyre-uv', 1, 'libuv-recvmmsg'),
      asked('gyre-uv', 1.5, 'node'),
      asked('gyre-uv', 1, 'uvloop'),
      NATIVE_PAYS,
    ],
  },
  {
    ...churn,
    name: 'connections',
    title: 'Connect, 64 bytes there and back, close; 32 at a time',
    program: 'echo',
    mode: 'connect',
    targets: [asked('gyre-uv', 1, 'uvloop'), asked('gyre-uv', 1.3, 'node'), NATIVE_PAYS],
  },
  {
    ...echo,
    name: 'tls-echo',
    title: 'TLS 1.3 echo by protocol, 100 connections, 1 KiB',
    program: 'tls',
    mode: 'tls-echo',
    connections: 100,
    messageBytes: 1024,
    targets: [
      asked('gyre-uv', 0.95, 'bun'),
      asked('gyre-uv', 1.3, 'uvloop'),
      asked('gyre-node', 1, 'node'),
      NATIVE_PAYS,
    ],
  },
  {
    ...churn,
    name: 'tls-full',
    unit: 'connections/s of CPU',
    program: 'tls',
    mode: 'tls-full',
    title: 'Connect over TLS 1.3, 64 bytes there and back, close; 32 at a time, each a full handshake',
    targets: AHEAD_OVER_TLS,
  },
  {
    ...churn,
    name: 'tls-resumed',
    unit: 'connections/s of CPU',
    program: 'tls',
    mode: 'tls-resumed',
    title: 'Connect over TLS 1.3, 64 bytes there and back, close; 32 at a time, each resuming a session',
    targets: AHEAD_OVER_TLS,
  },
  {
    kind: 'bulk',
    name: 'bulk',
    title: 'One way: 2 GiB in writes of 64 KiB with back-pressure, to a reader that keeps up (CPU: a MB)',
    unit: 'MB/s',
    better: 'higher',
    program: 'bulk',
    peers: EVERYBODY,
    writeBytes: 65_536,
    warmUpWrites: (256 * MEBIBYTE) / 65_536,
    measuredWrites: (2048 * MEBIBYTE) / 65_536,
    targets: [NATIVE_PAYS],
  },
  {
    ...idle,
    name: 'memory-protocol',
    title: 'Resident memory of the server an idle connection, by protocol, of 5,000 that echoed 1 KiB once',
    program: 'echo',
    peers: EVERYBODY,
    connections: 5000,
    // At most 0.6 of what Node takes.
    targets: [figure('gyre-uv', 2), asked('gyre-uv', 1 / 0.6, 'node'), NATIVE_PAYS],
  },
  {
    ...idle,
    name: 'memory-streams',
    title: 'Resident memory of the server an idle connection, by streams, of 5,000 that echoed 1 KiB once',
    program: 'streams',
    peers: BY_STREAMS,
    connections: 5000,
    targets: [figure('gyre-uv', 5.4), NATIVE_PAYS],
  },
  {
    ...idle,
    name: 'memory-tls',
    title: 'Resident memory of the server an idle connection, over TLS, of 1,000 that echoed 1 KiB once',
    tls: true,
    program: 'tls',
    peers: EVERYBODY,
    connections: 1000,
    targets: AHEAD_OVER_TLS,
  },
  {
    ...idle,
    name: 'memory-server',
    title: 'Resident memory of the server without connections, after its first one',
    unit: 'MiB',
    program: 'echo',
    peers: EVERYBODY,
    connections: 0,
  },
  {
    ...importing,
    name: 'import-time',
    title:
      'A program that imports gyre, from start to end (`node`: it imports the modules of Node that gyre loads; `nothing`: it imports nothing)',
    unit: 'ms',
    targets: [atMostMore('gyre', 25, 'node')],
  },
  {
    ...importing,
    name: 'import-memory',
    title: 'A program that imports gyre: resident memory at the end',
    unit: 'MiB',
    targets: [atMostMore('gyre', 6, 'node')],
  },
  // The sizes of `spawn`: how many at a time, and MiB resident.
  {
    ...spawn,
    name: 'spawn-1',
    title: '300 runs of `true`, one by one',
    sizes: [1, 0],
    targets: [NEARLY_BUN, NATIVE_PAYS],
  },
  {
    ...spawn,
    name: 'spawn-8',
    title: '300 runs of `true`, 8 at a time',
    sizes: [8, 0],
    targets: [NEARLY_BUN, NATIVE_PAYS],
  },
  {
    ...spawn,
    name: 'spawn-256m',
    title: '300 runs of `true`, one by one, from a process with 256 MiB more resident',
    sizes: [1, 256],
    targets: [NEARLY_BUN, asked('gyre-uv', 4, 'node'), NATIVE_PAYS],
  },
  {
    ...spawn,
    name: 'spawn-1g',
    title: '100 runs of `true`, one by one, from a process with 1 GiB more resident',
    operations: 100,
    rounds: 1,
    sizes: [1, 1024],
    targets: [NATIVE_PAYS],
  },
  // The size of `threads` and `processes`: how many calls are in flight.
  {
    ...threads,
    name: 'threads-64',
    title: 'Calls of a function that does nothing, in 2 threads, 64 in flight (`node`: bare `postMessage`)',
    unit: 'calls/s',
    better: 'higher',
    operations: 5000,
    sizes: [64],
    targets: [asked('gyre', 0.5, 'node'), figure('gyre', 100_000)],
  },
  {
    ...threads,
    name: 'threads-1',
    title: 'Calls of a function that does nothing, in 2 threads, one at a time',
    unit: 'us',
    better: 'lower',
    operations: 1000,
    sizes: [1],
    targets: [asked('gyre', 1 / 1.5, 'node')],
  },
  {
    ...processes,
    name: 'processes-64',
    title:
      'Calls of a function that does nothing, in 2 processes, 64 in flight (`node`: bare messages of `fork`)',
    unit: 'calls/s',
    better: 'higher',
    operations: 5000,
    sizes: [64],
    targets: [figure('gyre', 50_000)],
  },
  {
    ...processes,
    name: 'processes-1',
    title: 'Calls of a function that does nothing, in 2 processes, one at a time',
    unit: 'us',
    better: 'lower',
    operations: 1000,
    sizes: [1],
    targets: [asked('gyre', 1 / 1.5, 'node')],
  },
  {
    kind: 'process',
    name: 'cat',
    title: '64 MiB through `cat`: written to its stdin in pieces of 64 KiB, read from its stdout',
    unit: 'MB/s',
    better: 'higher',
    program: 'cat',
    peers: EVERYBODY,
    operations: (64 * MEBIBYTE) / 65_536,
    sizes: [65_536],
    targets: [asked('gyre-uv', 0.9, 'libuv'), NATIVE_PAYS],
  },
];

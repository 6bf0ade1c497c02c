/** The sections of docs/performance.md that have figures: their tables, their pictures, their peers. */

export interface Section {
  name: string;
  /** The first of gyre's peers, whose ratios the table has. */
  gyre: string;
  /** The columns of the other peers. */
  peers: readonly string[];
  /** The rows: names of workloads, or what comes before their "-". */
  workloads: readonly string[];
  /** The title of the picture. */
  title: string;
  /** The workloads in the picture, each with a short title. */
  panels: Readonly<Record<string, string>>;
  /** Labels that are another in this section. */
  labels?: Readonly<Record<string, string>>;
}

const LABELS: Readonly<Record<string, string>> = {
  gyre: 'gyre',
  'gyre-uv': 'gyre',
  'gyre-node': 'gyre, portable',
  'gyre-uv-buffered': 'gyre, buffered',
  'gyre-simulated': 'gyre, simulated',
  libuv: 'C on libuv',
  'libuv-cork': 'C, one write',
  'libuv-recvmmsg': 'C, recvmmsg',
  'libuv-mmsg': 'C, both mmsg',
  node: 'Node',
  'node-split': 'Node, by hand',
  'node-workerpool': 'workerpool',
  'node-piscina': 'piscina',
  'node-nothing': 'no import',
  bun: 'Bun',
  'bun-node': 'Bun, Node’s API',
  'bun-cork': 'Bun, one write',
};

export function labelOf(peer: string, { labels }: Section): string {
  return labels?.[peer] ?? LABELS[peer] ?? peer;
}

/** Returns true if the section has a row for the workload. */
export function hasRow({ workloads }: Section, name: string): boolean {
  return workloads.some((one) => name === one || name.startsWith(`${one}-`));
}

const SERVERS = ['gyre-node', 'libuv', 'uvloop', 'asyncio', 'node', 'bun'];

/** The backend on Node's own API beside that API: a table without a picture. */
export const PORTABLE: Section = {
  name: 'portable',
  gyre: 'gyre-node',
  peers: ['node', 'asyncio', 'uvloop'],
  workloads: [
    'echo',
    'streams',
    'lines',
    'unix',
    'udp',
    'connections',
    'bulk',
    'tls',
    'memory',
    'spawn',
    'cat',
  ],
  title: '',
  panels: {},
};

export const SECTIONS: readonly Section[] = [
  {
    name: 'sockets',
    gyre: 'gyre-uv',
    peers: SERVERS,
    workloads: ['echo', 'streams', 'lines', 'unix', 'udp', 'connections', 'bulk'],
    title: 'Servers on one core: echo, lines, datagrams and connections',
    panels: {
      'echo-100': 'TCP echo by protocol, 100 × 1 KiB',
      streams: 'TCP echo by streams, 100 × 1 KiB',
      'echo-1': 'One connection, 1 KiB',
      'echo-64k': '10 connections, 64 KiB',
      lines: 'Lines of 32 bytes, 16 in flight',
      unix: 'Unix sockets, 100 × 1 KiB',
      udp: 'UDP, 64 bytes',
      connections: 'Connect, 64 bytes, close',
    },
  },
  {
    name: 'tls',
    gyre: 'gyre-uv',
    peers: SERVERS,
    workloads: ['tls'],
    title: 'TLS 1.3 on one core',
    panels: {
      'tls-echo': 'TLS echo, 100 × 1 KiB',
      'memory-tls': 'Memory of an idle connection',
      'tls-full': 'Full handshakes',
      'tls-resumed': 'Resumed handshakes',
    },
  },
  {
    name: 'pools',
    gyre: 'gyre',
    peers: ['node', 'node-workerpool', 'node-piscina', 'asyncio', 'uvloop', 'bun-node'],
    workloads: ['threads', 'processes'],
    title: 'Calls of a function that does nothing, by two workers',
    panels: {
      'threads-64': 'Two threads, 64 calls in flight',
      'threads-1': 'Two threads, one call at a time',
      'processes-64': 'Two processes, 64 calls in flight',
      'processes-1': 'Two processes, one call at a time',
    },
    labels: { node: 'bare messages', 'bun-node': 'bare, on Bun' },
  },
  {
    name: 'memory',
    gyre: 'gyre-uv',
    peers: [...SERVERS, 'bun-node'],
    workloads: ['memory'],
    title: 'Memory of idle connections and of an empty server',
    panels: {
      'memory-protocol': 'An idle connection by protocol',
      'memory-streams': 'An idle connection by streams',
      'memory-server': 'A server without connections',
    },
  },
  {
    name: 'start',
    gyre: 'gyre',
    peers: ['node', 'node-nothing'],
    workloads: ['import'],
    title: 'The cost of import "gyre"',
    panels: { 'import-time': 'Start to end of a program', 'import-memory': 'Resident memory at its end' },
    labels: { gyre: 'import gyre', node: 'Node’s modules', 'node-nothing': 'no import' },
  },
  {
    name: 'processes',
    gyre: 'gyre-uv',
    peers: SERVERS,
    workloads: ['spawn', 'cat'],
    title: 'Child processes',
    panels: {
      'spawn-1': 'Spawn, one by one',
      'spawn-8': 'Spawn, 8 at a time',
      'spawn-256m': 'Spawn, with 256 MiB resident',
      cat: '64 MiB through cat',
    },
  },
  {
    name: 'loop',
    gyre: 'gyre',
    peers: ['node', 'asyncio', 'uvloop'],
    workloads: [
      'callsoon',
      'sleep0',
      'timers',
      'timer-cancel',
      'queue',
      'lock',
      'gather',
      'until',
      'lateness',
    ],
    title: 'CPU time of callbacks, tasks and timers',
    panels: {
      callsoon: 'callSoon()',
      sleep0: 'sleep(0) in 100 tasks',
      timers: '200,000 timers over 0..200 ms',
      queue: 'Hand-over by a Queue',
    },
  },
];

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

// The public names, one by one: a name that comes or goes is a change of the contract, and shows here.

const folder = new URL('../src/', import.meta.url);

interface Names {
  values: string[];
  types: string[];
}

const expected: Record<string, Names> = {
  '.': {
    values: [
      'AF_INET',
      'AF_INET6',
      'AF_UNIX',
      'AF_UNSPEC',
      'AI_ADDRCONFIG',
      'AI_ALL',
      'AI_CANONNAME',
      'AI_NUMERICHOST',
      'AI_NUMERICSERV',
      'AI_PASSIVE',
      'AI_V4MAPPED',
      'ALL_COMPLETED',
      'AbstractServer',
      'Barrier',
      'BaseEventLoop',
      'BaseProtocol',
      'BaseTransport',
      'BoundedSemaphore',
      'BrokenBarrierError',
      'BrokenExecutorError',
      'BufferedProtocol',
      'CancelledError',
      'Condition',
      'DEVNULL',
      'DatagramProtocol',
      'DatagramStream',
      'DatagramTransport',
      'DefaultEventLoopPolicy',
      'Event',
      'FIRST_COMPLETED',
      'FIRST_EXCEPTION',
      'Future',
      'Handle',
      'IPPROTO_IPV6',
      'IPPROTO_TCP',
      'IPPROTO_UDP',
      'IPV6_V6ONLY',
      'IncompleteReadError',
      'InvalidStateError',
      'LifoQueue',
      'LimitOverrunError',
      'Lock',
      'LoopError',
      'NI_DGRAM',
      'NI_NAMEREQD',
      'NI_NOFQDN',
      'NI_NUMERICHOST',
      'NI_NUMERICSERV',
      'NodeEventLoop',
      'PIPE',
      'PriorityQueue',
      'Process',
      'ProcessPoolExecutor',
      'Protocol',
      'Queue',
      'QueueEmpty',
      'QueueFull',
      'QueueShutDown',
      'Runner',
      'SHUT_RD',
      'SHUT_RDWR',
      'SHUT_WR',
      'SOCK_DGRAM',
      'SOCK_STREAM',
      'SOL_SOCKET',
      'SO_BROADCAST',
      'SO_ERROR',
      'SO_KEEPALIVE',
      'SO_RCVBUF',
      'SO_REUSEADDR',
      'SO_REUSEPORT',
      'SO_SNDBUF',
      'STDOUT',
      'Semaphore',
      'SendfileNotAvailableError',
      'Server',
      'Socket',
      'StreamReader',
      'StreamReaderProtocol',
      'StreamServer',
      'StreamWriter',
      'SubprocessProtocol',
      'SubprocessTransport',
      'TCP_NODELAY',
      'Task',
      'ThreadPoolExecutor',
      'TimeoutError',
      'TimerHandle',
      'Transport',
      'TransportSocket',
      'UvEventLoop',
      'allTasks',
      'asCompleted',
      'backendInfo',
      'connectRemote',
      'createSubprocessExec',
      'createSubprocessShell',
      'currentJob',
      'currentTask',
      'ensureFuture',
      'gather',
      'getEventLoop',
      'getEventLoopPolicy',
      'getRunningLoop',
      'importFunctions',
      'newEventLoop',
      'openConnection',
      'openDatagramEndpoint',
      'openUnixConnection',
      'referenceOf',
      'run',
      'setEventLoop',
      'setEventLoopPolicy',
      'shield',
      'sleep',
      'snapshot',
      'startServer',
      'startUnixServer',
      'taskGroup',
      'timeout',
      'timeoutAt',
      'toThread',
      'wait',
      'waitFor',
    ],
    types: [
      'AcceptedSocketOptions',
      'AddressInfo',
      'AnyFunction',
      'AsCompletedOptions',
      'Awaitable',
      'BackendInfo',
      'CipherInfo',
      'CompletedIterator',
      'ConnectionCallback',
      'ConnectionOptions',
      'CreateSubprocessOptions',
      'DatagramOptions',
      'Descriptor',
      'EventLoopPolicy',
      'ExceptionContext',
      'Executor',
      'ExtraInfo',
      'FunctionReference',
      'GatherOptions',
      'Gathered',
      'GatheredOrErrors',
      'GetaddrinfoOptions',
      'HandleSnapshot',
      'ImportedFunctions',
      'Inet4Address',
      'Inet6Address',
      'Job',
      'Loop',
      'LoopErrorCode',
      'LoopSnapshot',
      'OpenConnectionOptions',
      'OpenDatagramOptions',
      'OpenUnixConnectionOptions',
      'PeerAddress',
      'PeerCertificate',
      'PipeOptions',
      'PoolFacts',
      'PoolOptions',
      'PoolSubmitOptions',
      'PriorityQueueOptions',
      'ProtocolFactory',
      'ReadTransport',
      'ReceivedDatagram',
      'RemoteHandlers',
      'RemoteLoop',
      'RemotePort',
      'ResourceFacts',
      'ReturnWhen',
      'RunnerOptions',
      'SendfileOptions',
      'SendfileSource',
      'Separator',
      'ServerAddress',
      'ServerOptions',
      'ShutdownOptions',
      'SignalOptions',
      'Snapshot',
      'SocketAddress',
      'SocketOptions',
      'StartServerOptions',
      'StartTlsOptions',
      'StartUnixServerOptions',
      'StreamConnection',
      'StreamProtocol',
      'StreamReaderOptions',
      'SubmitOptions',
      'SubprocessOptions',
      'SubprocessStdio',
      'TaskFactory',
      'TaskGroup',
      'TaskOptions',
      'TaskSnapshot',
      'TimeoutScope',
      'TimerSnapshot',
      'TlsClientOptions',
      'TlsServerOptions',
      'UnixConnectionOptions',
      'UnixServerOptions',
      'WaitKind',
      'WaitOptions',
      'WaitSnapshot',
      'WriteBufferLimits',
      'WriteTransport',
      'WriterStartTlsOptions',
    ],
  },
  './lowlevel': {
    values: ['UnusableError'],
    types: [
      'Backend',
      'Capabilities',
      'ConnectEvents',
      'ConnectTarget',
      'Datagram',
      'DatagramEvents',
      'DatagramOpenEvents',
      'DatagramTarget',
      'Datagrams',
      'Descriptors',
      'DetachableSocket',
      'Executors',
      'Files',
      'InThreadJobs',
      'ListenEvents',
      'ListenTarget',
      'NameQuery',
      'Names',
      'Pipes',
      'PlatformFacts',
      'Polling',
      'ProcessEvents',
      'Processes',
      'RawDatagram',
      'RawFile',
      'RawListener',
      'RawPoll',
      'RawProcess',
      'RawRequest',
      'RawSocket',
      'RawStream',
      'RawTls',
      'ResolveQuery',
      'Signals',
      'SocketControl',
      'SocketFileFacts',
      'SocketTarget',
      'Sockets',
      'SpawnEvents',
      'SpawnStdio',
      'SpawnTarget',
      'StreamEvents',
      'StreamInfo',
      'StreamSockets',
      'SystemOptions',
      'SystemSocket',
      'Tls',
      'TlsContext',
      'TlsEvents',
      'TlsInfo',
      'TlsTarget',
      'TurnDriver',
      'Turns',
      'UnixSockets',
    ],
  },
  './node': {
    values: [
      'Agent',
      'AppServer',
      'connectDuplex',
      'fromDuplex',
      'serve',
      'toDuplex',
      'toReadableStream',
      'toWebStreams',
      'toWritableStream',
      'trackHttpConnections',
      'undiciConnector',
    ],
    types: [
      'AgentOptions',
      'AppCloseOptions',
      'ConnectionInjectorLike',
      'DuplexOptions',
      'FastifyLike',
      'FromDuplexOptions',
      'HttpServerLike',
      'ReadableSource',
      'ServeOptions',
      'ServeTarget',
      'TransportDuplex',
      'UndiciConnectOptions',
      'UndiciConnector',
      'UndiciConnectorOptions',
      'WebStreams',
      'WebStreamsOptions',
      'WritableSink',
    ],
  },
  './sim': {
    values: [
      'Dns',
      'Fault',
      'Host',
      'NetworkFaults',
      'SimulatedEventLoop',
      'SimulationError',
      'World',
      'checkDeterminism',
      'compareTraces',
      'simulate',
    ],
    types: [
      'BandwidthOptions',
      'ComparableEntry',
      'CustomFate',
      'DnsRecordOptions',
      'FaultOptions',
      'FirewallOptions',
      'FlapOptions',
      'HostOptions',
      'HostReport',
      'Hosts',
      'IcmpMessage',
      'LatencyOptions',
      'LossOptions',
      'MemoryFiles',
      'Packet',
      'PartitionOptions',
      'ProgramInput',
      'ProgramMain',
      'ProgramOptions',
      'ProgramOutput',
      'ProgramProcess',
      'ReorderOptions',
      'Seconds',
      'SimulateOptions',
      'SimulatedEventLoopOptions',
      'SimulationErrorCode',
      'SimulationReport',
      'SkewOptions',
      'TcpSegment',
      'TraceDifference',
      'TraceEntry',
      'UdpDatagram',
      'WorldTraceEntry',
    ],
  },
  './sim/register': { values: [], types: [] },
  './testing': {
    values: ['checkLoopEmpty', 'checkStreamTransport', 'leaks', 'streamTransportChecks', 'withLoop'],
    types: ['CheckStreamTransportOptions', 'Leak', 'MakeStreamPair', 'Reports'],
  },
};

const files: Record<string, string> = {
  '.': 'index.ts',
  './lowlevel': 'entry/lowlevel.ts',
  './node': 'entry/node.ts',
  './sim': 'entry/sim.ts',
  './sim/register': 'entry/sim-register.ts',
  './testing': 'entry/testing.ts',
};

/** Reads values from the module; types leave no trace in it, so they are read from its text. */
async function namesOf(file: string): Promise<Names> {
  const module = (await import(new URL(file, folder).href)) as Record<string, unknown>;
  const text = readFileSync(new URL(file, folder), 'utf8');
  const types = [...text.matchAll(/^export type \{([^}]*)\}/gm)].flatMap(([, list = '']) =>
    list
      .split(',')
      .map((name) => name.trim().replace(/^.* as /, ''))
      .filter((name) => name !== ''),
  );
  types.push(...[...text.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, name = '']) => name));
  return { values: Object.keys(module).sort(), types: types.sort() };
}

for (const [entry, file] of Object.entries(files)) {
  test(`the public names of ${entry === '.' ? 'gyre' : `gyre${entry.slice(1)}`}`, async () => {
    assert.deepEqual(await namesOf(file), expected[entry]);
  });
}

test('no name is exported by two entries, and no value under two names', async () => {
  const seenNames = new Map<string, string>();
  const seenValues = new Map<unknown, string>();
  for (const [entry, file] of Object.entries(files)) {
    const { values, types } = await namesOf(file);
    for (const name of [...values, ...types]) {
      assert.equal(
        seenNames.get(name),
        undefined,
        `${name} is exported by ${entry} and by ${seenNames.get(name)}`,
      );
      seenNames.set(name, entry);
    }
    const module = (await import(new URL(file, folder).href)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(module)) {
      if (typeof value !== 'function') continue;
      assert.equal(seenValues.get(value), undefined, `${name} is ${seenValues.get(value)}, too`);
      seenValues.set(value, name);
    }
  }
});

test('no exported name begins with an underscore', async () => {
  for (const file of Object.values(files)) {
    const { values, types } = await namesOf(file);
    assert.deepEqual(
      [...values, ...types].filter((name) => name.startsWith('_')),
      [],
    );
  }
});

test('package.json has a path for each entry, and each path an entry', () => {
  const { exports } = JSON.parse(readFileSync(new URL('../package.json', folder), 'utf8')) as {
    exports: Record<string, { types: string; default: string } | string>;
  };
  const paths = Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'string' ? [] : [[path, target.default.replace('./dist/', '').replace('.js', '.ts')]],
  );
  assert.deepEqual(Object.fromEntries(paths), files);
  assert.deepEqual(
    readdirSync(new URL('entry/', folder))
      .map((name) => `entry/${name}`)
      .sort(),
    Object.values(files)
      .filter((file) => file.startsWith('entry/'))
      .sort(),
  );
});

/** The simulated backend: a loop on a simulated host, with no operating system. */
import type {
  Backend,
  Datagrams,
  Descriptors,
  Executors,
  Files,
  Names,
  Pipes,
  Polling,
  Processes,
  Signals,
  Sockets,
  StreamSockets,
  Tls,
  UnixSockets,
} from '../backend.ts';
import { SimDatagrams } from './handles/datagram.ts';
import { Handles } from './handles/handles.ts';
import { openSocket } from './handles/socket.ts';
import type { Kernel } from './kernel.ts';
import { LoopClock } from './loop-clock.ts';
import { filesOf } from './machine/file-access.ts';
import { tlsOf } from './tls.ts';

export class SimBackend extends LoopClock implements Backend {
  readonly name = 'sim';
  readonly kernel: Kernel;
  readonly reusePort: boolean = true;
  readonly abstractUnix: boolean = true;
  readonly fileno: boolean = true;
  readonly tcp: StreamSockets;
  readonly unix: UnixSockets;
  readonly pipes: Pipes;
  readonly datagrams: Datagrams;
  readonly names: Names;
  readonly tls: Tls;
  readonly processes: Processes;
  readonly signals: Signals;
  readonly descriptors: Descriptors;
  readonly polling: Polling;
  readonly sockets: Sockets;
  readonly files: Files;
  readonly executors: Executors;

  /** @param signals those of the program that makes the loop */
  constructor(kernel: Kernel, signals: Signals = kernel.machine.signals) {
    super(kernel.host);
    this.kernel = kernel;
    const { network, machine } = kernel;
    const { descriptors } = machine;
    const handles = new Handles(kernel.host, descriptors);
    this.tcp = handles.streams(network.tcp);
    this.datagrams = new SimDatagrams(kernel.host, network.udp, descriptors);
    this.unix = handles.localStreams(machine.unix);
    this.pipes = { open: (pipe, direction) => handles.openPipe(pipe, direction) };
    this.descriptors = { isUsed: (fd) => descriptors.isUsed(fd) };
    this.polling = { poll: (fd, onReady) => handles.poll(fd, onReady) };
    const sockets = { descriptors, tcp: network.tcp, unix: machine.unix, udp: network.udp };
    this.sockets = { open: (target) => openSocket(sockets, target) };
    this.files = filesOf(machine);
    this.tls = tlsOf(kernel.host);
    this.executors = machine.jobs.executors;
    this.names = machine.names;
    this.processes = { spawn: (target, events) => machine.programs.spawn(target, handles, events) };
    this.signals = signals;
  }
}

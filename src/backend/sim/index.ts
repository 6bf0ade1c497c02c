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
import type { Kernel } from './kernel.ts';
import { LoopClock } from './loop-clock.ts';

export class SimBackend extends LoopClock implements Backend {
  readonly name = 'sim';
  readonly reusePort: boolean = false;
  readonly abstractUnix: boolean = false;
  readonly fileno: boolean = false;
  readonly tcp: StreamSockets | null = null;
  readonly unix: UnixSockets | null = null;
  readonly pipes: Pipes | null = null;
  readonly datagrams: Datagrams | null = null;
  readonly names: Names | null = null;
  readonly tls: Tls | null = null;
  readonly processes: Processes | null = null;
  readonly signals: Signals | null = null;
  readonly descriptors: Descriptors | null = null;
  readonly polling: Polling | null = null;
  readonly sockets: Sockets | null = null;
  readonly files: Files | null = null;
  readonly executors: Executors | null = null;

  constructor(kernel: Kernel) {
    super(kernel.host);
  }
}

/** The options of simulated TCP sockets. */
import { IPPROTO_TCP, SOCK_STREAM, TCP_NODELAY } from '../../../base/constants.ts';
import { systemError } from '../errors.ts';
import type { OptionAccess, OptionTable } from './inet-options.ts';
import { InetOptions, optionTable } from './inet-options.ts';

/** The numbers of Linux. */
const TCP_MAXSEG = 2;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const LONGEST_KEEP_ALIVE = 32_767;
const MOST_PROBES = 127;

/** Bytes. */
const BUFFER = 131_072;
/** Bytes: the value before a connection. */
const DEFAULT_MSS = 536;

export class TcpOptions extends InetOptions {
  readonly type: number = SOCK_STREAM;
  /** Switches Nagle's algorithm off. */
  noDelay: boolean = false;
  /** Seconds, and numbers of probes. */
  keepIdle: number = 7200;
  keepInterval: number = 75;
  keepCount: number = 9;
  mss: number = DEFAULT_MSS;

  constructor(family: number) {
    super(family, BUFFER, BUFFER);
  }

  /** Returns a copy, for a connection that a listening socket accepts. */
  inherit(): TcpOptions {
    const copy = new TcpOptions(this.family);
    Object.assign(copy, this, { onChange: null, takeError: null, listening: false });
    return copy;
  }

  /** @param delaySeconds 0 keeps the system's delay */
  setKeepAlive(on: boolean, delaySeconds: number): void {
    this.keepAlive = on;
    if (on && delaySeconds > 0) {
      this.keepIdle = Math.ceil(delaySeconds);
      // As libuv sets them.
      this.keepInterval = 1;
      this.keepCount = 10;
    }
    this.onChange?.();
  }

  setNoDelay(on: boolean): void {
    this.noDelay = on;
    this.onChange?.();
  }

  protected override find(level: number, option: number): OptionAccess<never> | undefined {
    return level === IPPROTO_TCP ? TCP.get(`${level}:${option}`) : undefined;
  }
}

function limited(name: 'keepIdle' | 'keepInterval' | 'keepCount', most: number): OptionAccess<TcpOptions> {
  return {
    get: (options) => options[name],
    set: (options, value) => {
      if (value < 1 || value > most) throw systemError('EINVAL', 'setsockopt');
      options[name] = value;
    },
  };
}

const NO_DELAY: OptionAccess<TcpOptions> = {
  get: ({ noDelay }) => Number(noDelay),
  set: (options, value) => {
    options.noDelay = value !== 0;
  },
};

const TCP: OptionTable<TcpOptions> = optionTable<TcpOptions>([
  [IPPROTO_TCP, TCP_NODELAY, NO_DELAY],
  [IPPROTO_TCP, TCP_MAXSEG, { get: ({ mss }) => mss }],
  [IPPROTO_TCP, TCP_KEEPIDLE, limited('keepIdle', LONGEST_KEEP_ALIVE)],
  [IPPROTO_TCP, TCP_KEEPINTVL, limited('keepInterval', LONGEST_KEEP_ALIVE)],
  [IPPROTO_TCP, TCP_KEEPCNT, limited('keepCount', MOST_PROBES)],
]);

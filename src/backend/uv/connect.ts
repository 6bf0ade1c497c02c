/** One attempt to connect to one literal address or path. */

import type { SocketAddress } from '../../base/address.ts';
import { hostNextTick } from '../../base/host.ts';
import type { ConnectEvents, ConnectTarget, RawRequest } from '../backend.ts';
import type { Id } from './addon.ts';
import type { Target } from './dispatch.ts';
import { addon, CONNECTED, register, unregister } from './dispatch.ts';
import { systemError } from './errors.ts';
import { scopeOf } from './scope.ts';
import { UvStream } from './stream.ts';

export function connectSocket(target: ConnectTarget, events: ConnectEvents): RawRequest {
  const { address, local } = target;
  if (typeof address === 'string') return connectUnix(address, events);
  const id = start(address, local);
  if (id >= 0) return new Attempt(id, target, events);
  const error = systemError(id, 'connect', address, local);
  return inTick(
    () => events.onError(error),
    () => {},
  );
}

/** Connects to a unix socket: at once, or not at all. */
function connectUnix(path: string, events: ConnectEvents): RawRequest {
  const id = addon().unixConnect(path);
  if (id < 0) {
    const error = systemError(id, 'connect', path);
    return inTick(
      () => events.onError(error),
      () => {},
    );
  }
  const stream = new UvStream(id);
  return inTick(
    () => events.onConnect(stream),
    () => stream.abort(),
  );
}

/** Calls `report` in the host's next tick. `cancel()` prevents that, and calls `abandon`. */
function inTick(report: () => void, abandon: () => void): RawRequest {
  let wanted = true;
  hostNextTick(() => {
    if (wanted) report();
  });
  return {
    cancel: () => {
      wanted = false;
      abandon();
    },
  };
}

function start(address: Exclude<SocketAddress, string>, local: SocketAddress | null): Id {
  const [host, scope] = scopeOf(address);
  const localHost = local === null ? null : (local[0] as string);
  const localPort = local === null ? 0 : (local[1] as number);
  return addon().tcpConnect(host, address[1], scope, localHost, localPort);
}

class Attempt implements RawRequest, Target {
  readonly id: Id;
  readonly #target: ConnectTarget;
  readonly #events: ConnectEvents;
  /** The result was reported: a stream owns the handle, or it is closed. */
  #over: boolean = false;

  constructor(id: Id, target: ConnectTarget, events: ConnectEvents) {
    this.id = id;
    this.#target = target;
    this.#events = events;
    register(this);
  }

  onEvent(kind: number, errno: number): void {
    if (kind !== CONNECTED) return;
    this.#over = true;
    unregister(this);
    if (errno === 0) {
      this.#events.onConnect(new UvStream(this.id));
      return;
    }
    addon().close(this.id);
    this.#events.onError(systemError(errno, 'connect', this.#target.address, this.#target.local));
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    unregister(this);
    addon().close(this.id);
  }
}

/** One connection attempt to one literal address or path. */

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
  return inATick(
    () => events.onError(error),
    () => {},
  );
}

/** Connected at once, or not at all. */
function connectUnix(path: string, events: ConnectEvents): RawRequest {
  const id = addon().unixConnect(path);
  if (id < 0) {
    const error = systemError(id, 'connect', path);
    return inATick(
      () => events.onError(error),
      () => {},
    );
  }
  const stream = new UvStream(id);
  return inATick(
    () => events.onConnect(stream),
    () => stream.abort(),
  );
}

/** Calls `tell` from the host, unless it is given up before. */
function inATick(tell: () => void, giveUp: () => void): RawRequest {
  let wanted = true;
  hostNextTick(() => {
    if (wanted) tell();
  });
  return {
    cancel: () => {
      wanted = false;
      giveUp();
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
  /** Its answer was told: the handle is a stream's, or gone. */
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

/**
 * The async hook that shows what the code of hosts asks of the real machine.
 *
 * Timers and datagram sockets are adopted by the world. Everything else that is real is watched: see real-
 * work.ts.
 */
import { createHook } from 'node:async_hooks';
import type { Place } from '../place.ts';
import { currentPlace } from '../place.ts';
import { adoptUdp } from './dgram.ts';
import { watchResource } from './real-work.ts';
import { adoptImmediate, adoptTimeout } from './timers.ts';

/** The most frequent types. They are part of JavaScript, and run in every drain. */
const FREE: ReadonlySet<string> = new Set(['PROMISE', 'TickObject', 'Microtask', 'GYRE']);

/** Native code that goes on in the next passes of the host, after each call. */
const NATIVE: ReadonlySet<string> = new Set(['TLSWRAP', 'HTTP2SESSION', 'MESSAGEPORT']);
/** HTTP/2 sends in one check phase, what TLS encrypts in the next one. */
const PASSES = 3;

/** They keep a process alive until they are closed. */
const KEEPERS: ReadonlySet<string> = new Set(['MESSAGEPORT', 'WORKER', 'FSEVENTWRAP', 'STATWATCHER']);

interface Keeper {
  unref(): void;
}

const forgotten: FinalizationRegistry<() => void> = new FinalizationRegistry((forget) => forget());

/** The end of a program ends no port, thread or watcher. But it must not keep the real process alive. */
function unrefAtEnd(keeper: Keeper, place: Place): void {
  const weak = new WeakRef(keeper);
  forgotten.register(
    keeper,
    place.onEnd(() => weak.deref()?.unref()),
  );
}

const hook = createHook({
  init(asyncId, type, _triggerId, resource) {
    if (FREE.has(type)) return;
    const place = currentPlace();
    if (place === null) return;
    if (type === 'Timeout') adoptTimeout(resource as never, place);
    else if (type === 'UDPWRAP') adoptUdp(resource as never, place);
    else if (type === 'Immediate') adoptImmediate(resource as never, place);
    else {
      if (NATIVE.has(type)) place.kernel.host.timeline.passesAfterCode = PASSES;
      if (KEEPERS.has(type)) unrefAtEnd(resource as Keeper, place);
      watchResource(resource, place, asyncId, type);
    }
  },
});

/** Begins to look at resources. Returns a function that ends it. */
export function watchResources(): () => void {
  hook.enable();
  return () => {
    hook.disable();
  };
}

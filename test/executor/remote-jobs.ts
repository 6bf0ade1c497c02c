/** The functions that worker threads run with the port of a loop. */
import type { RemotePort } from '../../src/executor/remote.ts';
import { connectRemote } from '../../src/executor/remote.ts';

/** The functions that the tests let the workers call. */
export type Handlers = {
  add: (n: number) => void;
  note: (...words: unknown[]) => void;
};

export function callMany(port: RemotePort<Handlers>, from: number, to: number): void {
  using remote = connectRemote<Handlers>(port);
  for (let n = from; n < to; n++) remote.callSoonThreadsafe('add', n);
}

export function callOnce(port: RemotePort<Handlers>, ...words: unknown[]): void {
  connectRemote<Handlers>(port).callSoonThreadsafe('note', ...words);
}

/** Returns the errors of wrong calls, and shows that the port still works. */
export function callWrongly(port: RemotePort<Handlers>): unknown[] {
  const remote = connectRemote<Handlers>(port);
  const calls: (() => void)[] = [
    () => remote.callSoonThreadsafe('nothing' as 'note'),
    () => remote.callSoonThreadsafe('toString' as 'note'),
    () => remote.callSoonThreadsafe(5 as unknown as 'note'),
    () => remote.callSoonThreadsafe('note', { callback: () => {} }),
    () => void connectRemote<Handlers>(port),
  ];
  const errors = calls.map((call) => {
    try {
      return call();
    } catch (error) {
      return error;
    }
  });
  remote.callSoonThreadsafe('note', 'fine');
  remote.close();
  remote.close();
  try {
    remote.callSoonThreadsafe('note', 'closed');
  } catch (error) {
    errors.push(error);
  }
  return errors;
}

/** Calls without any await until the loop is closed, and returns the error of that. */
export function callUntilClosed(port: RemotePort<Handlers>): unknown {
  const remote = connectRemote<Handlers>(port);
  try {
    for (let n = 0; ; n++) {
      remote.callSoonThreadsafe('add', n);
      // Not faster than the loop can process the calls.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  } catch (error) {
    return error;
  }
}

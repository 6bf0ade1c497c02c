/**
 * Happy Eyeballs (RFC 8305): connects to one of several addresses, without waiting long for a dead one.
 *
 * The first attempt starts at once. The next one starts when the previous one has failed, or has not answered
 * within `delay`. The attempts run in parallel: a later one does not stop an earlier one. The first that
 * connects wins, and all others are closed in the same step.
 *
 *   192.0.2.1  |──────────── (no answer) ────────────✕ closed
 *   ::1               250 ms |──✓ wins
 */
import type { RawRequest, RawStream } from '../../backend/backend.ts';
import type { SocketAddress } from '../../base/address.ts';
import { formatAddress } from '../../base/address.ts';
import type { TimerHandle } from '../../loop/handle.ts';
import { capability } from '../../loop/supports.ts';
import type { Loop } from '../../loop/types.ts';
import type { Future } from '../../tasks/future.ts';
import { HostOperation } from '../../tasks/host-operation.ts';
import { addressFamily } from './resolve.ts';

export interface Candidate {
  address: SocketAddress;
  local: SocketAddress | null;
}

/**
 * Connects to the first of `candidates` that answers.
 *
 * @param delaySeconds the delay before the next attempt starts; null: only after a failure
 */
export function race(loop: Loop, candidates: Candidate[], delaySeconds: number | null): Future<RawStream> {
  const first = candidates[0] as Candidate;
  const what = `connecting to ${formatAddress(first.address)}`;
  const dispose = (stream: RawStream): void => stream.abort();
  return HostOperation.begin(loop, what, dispose, (request) => {
    const attempts = new Race(loop, candidates, delaySeconds, request);
    attempts.next();
    return () => attempts.end();
  });
}

class Race {
  readonly #loop: Loop;
  readonly #candidates: Candidate[];
  readonly #delay: number | null;
  readonly #request: HostOperation<RawStream>;
  readonly #running: Set<RawRequest> = new Set();
  readonly #errors: Error[] = [];
  #started: number = 0;
  #timer: TimerHandle | null = null;

  constructor(loop: Loop, candidates: Candidate[], delay: number | null, request: HostOperation<RawStream>) {
    this.#loop = loop;
    this.#candidates = candidates;
    this.#delay = delay;
    this.#request = request;
  }

  /** Starts the next attempt, if an address is left. */
  next(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const index = this.#started;
    const candidate = this.#candidates[index];
    if (candidate === undefined) return;
    this.#started++;
    const attempt = capability(this.#loop, 'tcp').connect(candidate, {
      onConnect: (stream) => {
        this.#running.delete(attempt);
        this.end();
        this.#request.succeed(stream);
      },
      onError: (error) => {
        this.#running.delete(attempt);
        this.#errors[index] = error;
        if (this.#started < this.#candidates.length) this.next();
        else if (this.#running.size === 0) this.#request.fail(summary(this.#errors));
      },
    });
    this.#running.add(attempt);
    if (this.#delay !== null && this.#started < this.#candidates.length) {
      this.#timer = this.#loop._scheduler.callAt(this.#loop.time() + this.#delay, () => this.next(), []);
    }
  }

  /** Closes all attempts that are under way. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const attempt of this.#running) attempt.cancel();
    this.#running.clear();
  }
}

/** Returns the first error if all are alike, else an `AggregateError` with the code of the first. */
export function summary(errors: Error[]): Error {
  const [first, ...others] = errors as [SystemError, ...SystemError[]];
  if (others.every(({ code, syscall }) => code === first.code && syscall === first.syscall)) return first;
  const aggregate = new AggregateError(
    errors,
    `no address could be used: ${errors.map(({ message }) => message).join('; ')}`,
  );
  return Object.assign(aggregate, { code: first.code });
}

interface SystemError extends Error {
  code?: string;
  syscall?: string;
}

/**
 * Alternates the address families, beginning with the family of the first address: RFC 8305, section 4.
 *
 * @param firstCount the number of addresses of the first family before the first of the other family
 */
export function interleaveFamilies(addresses: SocketAddress[], firstCount: number): SocketAddress[] {
  const families = new Map<number, SocketAddress[]>();
  for (const address of addresses) {
    const family = addressFamily(address);
    const list = families.get(family);
    if (list === undefined) families.set(family, [address]);
    else list.push(address);
  }
  const [first = [], second = []] = [...families.values()];
  const result = first.splice(0, firstCount - 1);
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    result.push(...first.slice(i, i + 1), ...second.slice(i, i + 1));
  }
  return result;
}

/**
 * The subprocess transport for every backend. It combines a raw process with the state of its end
 * (exit-state.ts) and the transports of its pipes (process-pipe.ts), and calls the protocol.
 *
 * While the loop does not run, nothing reaches the protocol: the exit of the child waits in the ready queue.
 */

import type { ProcessEvents, RawProcess } from '../backend/backend.ts';
import { showInOneLine } from '../base/one-line.ts';
import { checkString } from '../base/validate.ts';
import type { SpanMessage } from '../loop/channels.ts';
import { processSpans } from '../loop/channels.ts';
import type { CapturedContext } from '../loop/context.ts';
import { rememberOrigin } from '../loop/creation.ts';
import type { Resource, ResourceFacts } from '../loop/ownership.ts';
import type { Loop } from '../loop/types.ts';
import type { SubprocessProtocol } from '../net/protocol.ts';
import {
  baseProtocolInvokers,
  SUBPROCESS_PROTOCOL_METHODS,
  subprocessProtocolInvokers,
} from '../net/protocol.ts';
import type { CallerOwner } from '../net/protocol-caller.ts';
import { checkProtocol, FAILED, ProtocolCaller, reportProtocolFault } from '../net/protocol-caller.ts';
import type { ExtraInfo, Transport } from '../net/transport.ts';
import { SubprocessTransport } from '../net/transport.ts';
import { Future } from '../tasks/future.ts';
import { succeeded } from '../tasks/settled.ts';
import { ExitState } from './exit-state.ts';
import type { PipeOwner } from './process-pipe.ts';
import { ProcessPipe } from './process-pipe.ts';
import { signalNumber } from './signal-number.ts';

/** These numbers are the same on every platform. */
const SIGKILL = 9;
const SIGTERM = 15;
/**
 * How often the host may pass through its loop before the exit of a child with open pipes is reported. So the
 * child's last data and the ends of its pipes, which have arrived by then, are reported first. After that,
 * only a grandchild or a paused reader can keep a pipe open.
 */
const PASSES_AFTER_EXIT = 4;

/**
 * Kills a child that is not needed any more. If the child runs as another user by now, the system may forbid
 * it; then the child continues.
 */
export function killUnwanted(child: RawProcess): void {
  try {
    child.kill(SIGKILL);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EPERM') throw error;
  }
}

export class ProcessTransport
  extends SubprocessTransport
  implements ProcessEvents, PipeOwner, Resource, CallerOwner
{
  readonly _kind = 'child';
  /** The name for reports. */
  readonly _name: string;
  readonly #loop: Loop;
  readonly #raw: RawProcess;
  readonly #caller: ProtocolCaller<SubprocessProtocol>;
  readonly #pipes: readonly (ProcessPipe | null)[];
  readonly #state: ExitState;
  #returncode: number | null = null;
  #closing: boolean = false;
  /** The loop was closed, so the protocol is not called any more. */
  #abandoned: boolean = false;
  /** The exception of the protocol for which the child was killed. */
  #fault: Error | null = null;
  /** The waiters for the exit of the child. */
  readonly #waits: Set<Future<number>> = new Set();
  #lost: Future<void> | null = null;

  /**
   * @param context the context of the protocol's callbacks, captured without a task (see loop/context.ts)
   * @param program for reports
   */
  constructor(
    loop: Loop,
    raw: RawProcess,
    protocol: SubprocessProtocol,
    context: CapturedContext,
    program: string,
  ) {
    super();
    if (loop.debug) rememberOrigin(this, new.target);
    this.#loop = loop;
    this.#raw = raw;
    this._name = `child process ${raw.pid} (${program})`;
    this.#caller = new ProtocolCaller<SubprocessProtocol>(loop, context, protocol, this);
    loop._owned.resources.add(this);
    this.#pipes = raw.pipes.map((pipe, fd) => {
      return pipe === null ? null : new ProcessPipe(loop, pipe, fd, context, this);
    });
    this.#state = new ExitState(this.#pipes.flatMap((pipe, fd) => (pipe === null ? [] : [fd])));
    raw.open(this);
    if (processSpans.watched) processSpans.begin(this.#spanMessage());
    loop._scheduler.recorder?.open(this.#caller.number);
  }

  /** Calls `connectionMade` and begins to read. Returns the protocol's exception, or null. @internal */
  _begin(): Error | null {
    if (this.#caller.call(subprocessProtocolInvokers.connectionMade, this) === FAILED) return this.#fault;
    for (const pipe of this.#pipes) pipe?._begin();
    return null;
  }

  // --- facts ---

  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, fallback: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, fallback?: unknown): unknown;
  getExtraInfo(name: string, fallback: unknown = null): unknown {
    checkString('name', name);
    return name === 'subprocess' ? this.#raw.handle : fallback;
  }

  getPid(): number {
    return this.#raw.pid;
  }

  getReturncode(): number | null {
    return this.#returncode;
  }

  getPipeTransport(fd: number): Transport | null {
    return this.#pipes[fd] ?? null;
  }

  getProtocol(): SubprocessProtocol {
    return this.#caller.protocol;
  }

  setProtocol(protocol: SubprocessProtocol): void {
    checkProtocol('protocol', protocol, SUBPROCESS_PROTOCOL_METHODS);
    this.#caller.protocol = protocol;
  }

  isClosing(): boolean {
    return this.#closing || this.#state.over;
  }

  // --- signals ---

  sendSignal(signal: string | number): void {
    this.#kill(signalNumber(this.#loop, 'signal', signal));
  }

  terminate(): void {
    this.#kill(SIGTERM);
  }

  kill(): void {
    this.#kill(SIGKILL);
  }

  #kill(signum: number): void {
    if (this.#returncode === null) this.#raw.kill(signum);
  }

  // --- calls of the pipes ---

  _pipeData(fd: number, data: Buffer): void {
    this.#caller.call(subprocessProtocolInvokers.pipeDataReceived, fd, data);
  }

  _pipeFlow(method: 'pauseWriting' | 'resumeWriting'): void {
    this.#caller.call(baseProtocolInvokers[method], undefined);
  }

  _pipeConnectionLost(fd: number, exception: Error | null): void {
    this.#caller.call(subprocessProtocolInvokers.pipeConnectionLost, fd, exception);
  }

  _pipeGone(fd: number): void {
    if (this.#state.pipeLost(fd)) this.#finish();
  }

  // --- the end ---

  close(): void {
    if (this.isClosing()) return;
    this.#closing = true;
    // Kill it before closing its pipes. Otherwise the end of its stdin could end it first.
    if (this.#returncode === null) killUnwanted(this.#raw);
    // Don't flush: the reader was killed, and a grandchild that does not read could delay the end forever.
    for (const pipe of this.#pipes) pipe?.abort();
  }

  onExit(code: number): void {
    this.#afterPipes(code, PASSES_AFTER_EXIT);
  }

  /** Reports the exit after the ends of the pipes, or after some passes of the host. */
  #afterPipes(code: number, passes: number): void {
    if (this.#abandoned) return;
    if (passes > 0 && this.#state.pipesOpen) {
      this.#loop._backend.afterHostTimers(() => this.#afterPipes(code, passes - 1));
      return;
    }
    this.#returncode = code;
    if (this.#loop.isRunning()) this.#exited();
    else this.#loop._scheduler.callSoon(() => this.#exited(), []);
  }

  /** @internal */
  get _number(): number {
    return this.#caller.number;
  }

  #spanMessage(): SpanMessage {
    return { subject: this, name: this._name, loop: this.#loop };
  }

  #exited(): void {
    if (processSpans.watched) processSpans.finish(this.#spanMessage(), null, this.#returncode);
    this.#loop._scheduler.recorder?.lost(this.#caller.number, this._name);
    this.#caller.call(subprocessProtocolInvokers.processExited, undefined);
    for (const wait of [...this.#waits]) if (!wait.done()) wait.setResult(this.#returncode as number);
    if (this.#state.exit()) this.#finish();
  }

  #finish(): void {
    if (this.#abandoned) return;
    this.#loop._owned.resources.delete(this);
    this.#caller.call(baseProtocolInvokers.connectionLost, this.#fault);
    if (this.#lost !== null && !this.#lost.done()) this.#lost.setResult(undefined);
  }

  /** Returns a future that completes when the child has exited, even if its pipes stay open. @internal */
  _wait(): Future<number> {
    if (this.#state.exited) return succeeded(this.#loop, this.#returncode as number);
    const wait = new Future<number>(this.#loop);
    this.#waits.add(wait);
    wait._onSettled = () => this.#waits.delete(wait);
    return wait;
  }

  /** Returns a future that completes after `connectionLost` was called. @internal */
  _whenLost(): Future<void> {
    this.#lost ??= new Future<void>(this.#loop);
    if (!this.#lost.done() && !this.#loop._owned.resources.has(this)) this.#lost.setResult(undefined);
    return this.#lost;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this._whenLost();
  }

  /** @internal */
  _facts(): string {
    const state = this.#returncode === null ? 'running' : `exited with ${this.#returncode}`;
    return `${this._name.replace('child process', 'pid')}, ${state}`;
  }

  /** @internal */
  _resourceFacts(): ResourceFacts {
    const program = /\((.*)\)$/.exec(this._name)?.[1] ?? '';
    const state = this.#returncode === null ? 'running' : 'exited';
    return { kind: 'child', state, pid: this.#raw.pid, program, returncode: this.#returncode };
  }

  /** @internal */
  _describe(): string {
    return this.#returncode === null
      ? `${this._name} was not reaped: it was still running, and closing the loop kills it`
      : `${this._name} has exited, but its pipes are still open`;
  }

  /** @internal */
  _forceClose(): void {
    this.#abandoned = true;
    if (this.#returncode === null) killUnwanted(this.#raw);
  }

  /** @internal */
  _protocolFailed(error: unknown, method: string): void {
    const fault = reportProtocolFault(this.#loop, this, error, method, ', so its process was killed');
    this.#fault ??= fault;
    this.close();
  }
}

showInOneLine(ProcessTransport);

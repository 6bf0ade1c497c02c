/** What a loop owns, so that `close()` can end it and name it. */
import type { ExceptionContext, TaskLike } from './types.ts';

/** Something that holds a resource of the host: a transport, a server, a connection attempt. */
export interface Owned {
  /** In words, for the leak report. @internal */
  _describe(): string;
  /** Ends it at once, without calling user code. @internal */
  _abandon(): void;
  /** Stack of its creation, in debug mode. @internal */
  readonly _origin: string | null;
}

/** A failed future whose exception nobody has looked at. Must not refer to the future: it would never be collected. */
export interface Unretrieved {
  readonly context: ExceptionContext;
}

/** A pending task: as the loop's layer sees it when it closes. */
export interface OwnedTask extends TaskLike, Owned {}

export class Ownership {
  readonly resources: Set<Owned> = new Set();
  /** Strong references: no task is collected while it is pending. */
  readonly tasks: Set<OwnedTask> = new Set();
  readonly unretrieved: Set<Unretrieved> = new Set();

  /** Ends everything and answers one report for each leak, in order of creation. */
  abandonAll(): ExceptionContext[] {
    const reports: ExceptionContext[] = [];
    for (const owned of [...this.tasks, ...this.resources]) {
      const report: ExceptionContext = { message: `the event loop was closed, but ${owned._describe()}` };
      if (owned._origin !== null) report.sourceTraceback = owned._origin;
      reports.push(report);
      owned._abandon();
    }
    for (const { context } of this.unretrieved) reports.push(context);
    this.tasks.clear();
    this.resources.clear();
    this.unretrieved.clear();
    return reports;
  }
}

/** The caller's stack, without the frames of gyre's own bookkeeping. */
export function captureOrigin(below: abstract new (...args: never[]) => unknown): string;
export function captureOrigin(below: (...args: never[]) => unknown): string;
export function captureOrigin(below: unknown): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, below as () => void);
  return (holder.stack ?? '').replace(/^[^\n]*\n/, '');
}

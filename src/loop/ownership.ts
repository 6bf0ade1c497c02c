/** What a loop owns, so that `close()` can end it and name it. */
import { withOrigin } from './origins.ts';
import type { ExceptionContext, TaskLike } from './types.ts';

/** Something that holds a resource of the host: a transport, a server, a connection attempt. */
export interface Owned {
  /** In words, for the leak report. @internal */
  _describe(): string;
  /** Ends it at once, without calling user code. @internal */
  _abandon(): void;
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
      reports.push(withOrigin({ message: `the event loop was closed, but ${owned._describe()}` }, owned));
      owned._abandon();
    }
    for (const { context } of this.unretrieved) reports.push(context);
    this.tasks.clear();
    this.resources.clear();
    this.unretrieved.clear();
    return reports;
  }
}

/** A connection to a running process that has gyre. */
export interface Probe {
  /**
   * Calls a method of the hook that gyre leaves in a process, in the main thread and in each worker thread.
   *
   * @param argument plain data, the same for each of them
   * @returns the answers, one for each copy of gyre in each thread
   */
  ask<T>(method: string, argument?: object): Promise<Answer<T>[]>;

  /**
   * Returns the frames of the code that holds the main thread, innermost first. They are empty while the
   * thread waits for events.
   */
  stack(): Promise<readonly string[]>;

  /** Leaves the process as it was. */
  close(): Promise<void>;
}

export interface Answer<T> {
  /** 0 for the main thread, or the number of the worker thread. */
  readonly thread: number;
  readonly value: T;
}

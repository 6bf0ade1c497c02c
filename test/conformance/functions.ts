/**
 * The functions of asyncio's event loop reference, in its order, each with gyre's name, and then functions
 * that gyre adds. Test titles of the suites may name these functions only, and docs/conformance.md has a row
 * for each.
 */

export interface Section {
  title: string;
  /** The name in asyncio's reference, which the test titles use, and the name in gyre. */
  functions: readonly (readonly [python: string, gyre: string])[];
}

export const REFERENCE: readonly Section[] = [
  {
    title: 'Event loop functions',
    functions: [
      ['get_event_loop()', 'getEventLoop()'],
      ['set_event_loop()', 'setEventLoop()'],
      ['new_event_loop()', 'newEventLoop()'],
    ],
  },
  {
    title: 'Event loop policy',
    functions: [
      ['get_event_loop_policy()', 'getEventLoopPolicy()'],
      ['set_event_loop_policy()', 'setEventLoopPolicy()'],
    ],
  },
  {
    title: 'Run an event loop',
    functions: [
      ['run_forever()', 'loop.runForever()'],
      ['run_until_complete()', 'loop.runUntilComplete()'],
      ['is_running()', 'loop.isRunning()'],
      ['stop()', 'loop.stop()'],
      ['close()', 'loop.close()'],
    ],
  },
  {
    title: 'Calls',
    functions: [
      ['call_soon()', 'loop.callSoon()'],
      ['call_soon_threadsafe()', 'loop.callSoonThreadsafe()'],
    ],
  },
  {
    title: 'Delayed calls',
    functions: [
      ['call_later()', 'loop.callLater()'],
      ['call_at()', 'loop.callAt()'],
      ['time()', 'loop.time()'],
    ],
  },
  { title: 'Creating connections', functions: [['create_connection()', 'loop.createConnection()']] },
  {
    title: 'Creating listening connections',
    functions: [
      ['create_server()', 'loop.createServer()'],
      ['create_datagram_endpoint()', 'loop.createDatagramEndpoint()'],
    ],
  },
  {
    title: 'Resolve name',
    functions: [
      ['getaddrinfo()', 'loop.getaddrinfo()'],
      ['getnameinfo()', 'loop.getnameinfo()'],
    ],
  },
  {
    title: 'Running subprocesses',
    functions: [
      ['subprocess_exec()', 'loop.subprocessExec()'],
      ['subprocess_shell()', 'loop.subprocessShell()'],
      ['connect_read_pipe()', 'loop.connectReadPipe()'],
      ['connect_write_pipe()', 'loop.connectWritePipe()'],
    ],
  },
  {
    title: 'UNIX signals',
    functions: [
      ['add_signal_handler()', 'loop.addSignalHandler()'],
      ['remove_signal_handler()', 'loop.removeSignalHandler()'],
    ],
  },
  {
    title: 'Executor',
    functions: [
      ['run_in_executor()', 'loop.runInExecutor()'],
      ['set_default_executor()', 'loop.setDefaultExecutor()'],
    ],
  },
  {
    title: 'Server',
    functions: [
      ['Server.close()', 'server.close()'],
      ['Server.wait_closed()', 'server.waitClosed()'],
    ],
  },
];

export const BEYOND: readonly Section[] = [
  {
    title: 'Getting and closing a loop',
    functions: [
      ['get_running_loop()', 'getRunningLoop()'],
      ['is_closed()', 'loop.isClosed()'],
      ['shutdown_default_executor()', 'loop.shutdownDefaultExecutor()'],
      ['run()', 'run()'],
    ],
  },
  {
    title: 'Unix sockets, accepted sockets and files',
    functions: [
      ['create_unix_connection()', 'loop.createUnixConnection()'],
      ['create_unix_server()', 'loop.createUnixServer()'],
      ['connect_accepted_socket()', 'loop.connectAcceptedSocket()'],
      ['start_tls()', 'loop.startTls()'],
      ['sendfile()', 'loop.sendfile()'],
    ],
  },
  {
    title: 'Watching descriptors',
    functions: [
      ['add_reader()', 'loop.addReader()'],
      ['remove_reader()', 'loop.removeReader()'],
      ['add_writer()', 'loop.addWriter()'],
      ['remove_writer()', 'loop.removeWriter()'],
    ],
  },
  {
    title: 'Sockets without buffers',
    functions: [
      ['sock_connect()', 'loop.sockConnect()'],
      ['sock_accept()', 'loop.sockAccept()'],
      ['sock_recv()', 'loop.sockRecv()'],
      ['sock_recv_into()', 'loop.sockRecvInto()'],
      ['sock_sendall()', 'loop.sockSendall()'],
      ['sock_sendfile()', 'loop.sockSendfile()'],
      ['sock_sendto()', 'loop.sockSendto()'],
      ['sock_recvfrom()', 'loop.sockRecvfrom()'],
      ['sock_recvfrom_into()', 'loop.sockRecvfromInto()'],
    ],
  },
  {
    title: 'Exceptions and debug mode',
    functions: [
      ['set_exception_handler()', 'loop.setExceptionHandler()'],
      ['default_exception_handler()', 'loop.defaultExceptionHandler()'],
      ['call_exception_handler()', 'loop.callExceptionHandler()'],
      ['set_debug()', 'loop.debug'],
    ],
  },
  {
    title: 'Futures and tasks',
    functions: [
      ['create_future()', 'loop.createFuture()'],
      ['add_done_callback()', 'future.addDoneCallback()'],
      ['create_task()', 'loop.createTask()'],
      ['set_task_factory()', 'loop.setTaskFactory()'],
      ['cancel()', 'task.cancel()'],
      ['current_task()', 'currentTask()'],
      ['all_tasks()', 'allTasks()'],
      ['sleep()', 'sleep()'],
    ],
  },
];

/** The names of all sections. */
export const FUNCTIONS: ReadonlySet<string> = new Set(
  [...REFERENCE, ...BEYOND].flatMap(({ functions }) => functions.map(([python]) => python)),
);

/** Returns the functions that a title names: `call_soon()`, `Server.close()`. */
export function functionsIn(title: string): string[] {
  const names = title.match(/(?:\b[A-Z]\w*\.)?\b[a-z_]+\(\)/g) ?? [];
  for (const name of names) {
    if (!FUNCTIONS.has(name)) throw new Error(`no function of functions.ts: ${name} in "${title}"`);
  }
  if (names.length === 0) throw new Error(`the title names no function: "${title}"`);
  return [...new Set(names)];
}

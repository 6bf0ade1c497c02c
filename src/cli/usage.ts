/** The arguments of `npx gyre`. */
import { parseArgs } from 'node:util';
import { Problem } from './problem.ts';

export const USAGE = `Looks into a running program that uses gyre, or runs a module in several workers.

  gyre ps PID         its loops, tasks, connections, children, jobs and timers
  gyre pstree PID     which task waits for which, and the deadlocks among them
  gyre top PID        the same figures, once a second
  gyre doctor PID     looks for the usual faults
  gyre trace PID      writes what its loops did and do to a file, for Perfetto or chrome://tracing
  gyre diff A B       compares two trace files, and prints the first difference (exit code 1)

  gyre serve MODULE   runs main(context) of a module in workers that serve one port

  --json              the answer as JSON (top: one line a second)
  --web               ps, pstree and top: shows a page in the browser instead
  --port NUMBER       --web: the port of the page on 127.0.0.1 (a free one if not given)
  -o, --output FILE   trace: the file (gyre-PID.json)
  --megabytes NUMBER  trace: the largest size of the file (100)
  --seconds NUMBER    doctor and trace: how long to watch (2); top: between two figures (1)

  --workers NUMBER    serve: the number of workers (the number of cores)
  --host, --port      serve: the address (0.0.0.0, a free port)
  --processes         serve: processes in place of threads
  --deadline SECONDS  serve: how long connections may go on when a worker ends (10)
  --watch             serve: restarts the workers when a file beside the module changes

gyre serve ends at SIGTERM and Ctrl-C, and restarts the workers one by one at SIGHUP.
The program that the others look into needs no flag and no open port: the command opens Node's inspector by SIGUSR1, and closes it.`;

export const COMMANDS = ['ps', 'pstree', 'top', 'doctor', 'trace'] as const;
export type Command = (typeof COMMANDS)[number];

export interface Arguments {
  readonly command: Command;
  readonly pid: number;
  readonly json: boolean;
  readonly web: boolean;
  readonly port: number;
  readonly seconds: number | undefined;
  readonly output: string | undefined;
  readonly megabytes: number;
}

export interface DiffArguments {
  readonly command: 'diff';
  readonly files: readonly string[];
  readonly json: boolean;
}

export interface ServeArguments {
  readonly command: 'serve';
  readonly module: string;
  readonly kind: 'thread' | 'process';
  readonly watch: boolean;
  readonly workers: number | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly deadline: number | undefined;
}

/** @returns undefined if the user asked for help */
export function parseArguments(
  args: readonly string[],
): Arguments | DiffArguments | ServeArguments | undefined {
  const { values, positionals } = parsed(args);
  if (values.help === true || positionals.length === 0) return undefined;
  const [command = '', ...rest] = positionals;
  if (command === 'serve') return serveArguments(values, rest);
  if (command === 'diff') {
    if (rest.length !== 2) throw new Problem('diff needs two trace files: gyre diff a.json b.json');
    return { command, files: rest, json: values.json ?? false };
  }
  if (!isCommand(command)) {
    throw new Problem(`there is no command '${command}'`, [
      `The commands: ${COMMANDS.join(', ')}, diff, serve`,
    ]);
  }
  if (rest.length !== 1) throw new Problem(`${command} needs the id of one process: gyre ${command} 4711`);
  return {
    command,
    pid: pidOf(rest[0] ?? ''),
    json: values.json ?? false,
    web: values.web ?? false,
    port: values.port === undefined ? 0 : numberOf('--port', values.port, 65_535),
    seconds: values.seconds === undefined ? undefined : numberOf('--seconds', values.seconds, 3600),
    output: values.output,
    megabytes: values.megabytes === undefined ? 100 : numberOf('--megabytes', values.megabytes, 100_000),
  };
}

function serveArguments(values: ReturnType<typeof parsed>['values'], rest: string[]): ServeArguments {
  const [module] = rest;
  if (module === undefined || rest.length > 1)
    throw new Problem('serve needs one module: gyre serve ./app.js');
  const number = (name: 'workers' | 'port' | 'deadline', most: number): number | undefined => {
    const text = values[name];
    return text === undefined ? undefined : numberOf(`--${name}`, text, most);
  };
  return {
    command: 'serve',
    module,
    kind: values.processes === true ? 'process' : 'thread',
    watch: values.watch ?? false,
    workers: number('workers', 4096),
    host: values.host,
    port: number('port', 65_535),
    deadline: number('deadline', 86_400),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        web: { type: 'boolean' },
        port: { type: 'string' },
        seconds: { type: 'string' },
        output: { type: 'string', short: 'o' },
        megabytes: { type: 'string' },
        workers: { type: 'string' },
        host: { type: 'string' },
        processes: { type: 'boolean' },
        deadline: { type: 'string' },
        watch: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new Problem((error as Error).message);
  }
}

function isCommand(text: string): text is Command {
  return (COMMANDS as readonly string[]).includes(text);
}

function pidOf(text: string): number {
  const pid = Number(text);
  if (Number.isInteger(pid) && pid > 0) return pid;
  throw new Problem(`'${text}' is not the id of a process: expected a number like 4711`);
}

function numberOf(option: string, text: string, most: number): number {
  const value = Number(text);
  if (text !== '' && value >= 0 && value <= most) return value;
  throw new Problem(`${option} must be a number from 0 to ${most}, not '${text}'`);
}

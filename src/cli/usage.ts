/** The arguments of `npx gyre`. */
import { parseArgs } from 'node:util';
import { Problem } from './problem.ts';

export const USAGE = `Looks into a running program that uses gyre.

  gyre ps PID         its loops, tasks, connections, children, jobs and timers
  gyre pstree PID     which task waits for which, and the deadlocks among them
  gyre top PID        the same figures, once a second
  gyre doctor PID     looks for the usual faults
  gyre trace PID      writes what its loops did and do to a file, for Perfetto or chrome://tracing

  gyre worker --queue NAME --redis URL MODULE...
                      runs the jobs of a BullMQExecutor's queue (--workers NUMBER, --threads, --prefix)

  --json              the answer as JSON (top: one line a second)
  --web               ps, pstree and top: shows a page in the browser instead
  --port NUMBER       --web: the port of the page on 127.0.0.1 (a free one if not given)
  -o, --output FILE   trace: the file (gyre-PID.json)
  --megabytes NUMBER  trace: the largest size of the file (100)
  --seconds NUMBER    doctor and trace: how long to watch (2); top: between two figures (1)

The program needs no flag and no open port: the command opens Node's inspector by SIGUSR1, and closes it.`;

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

/** @returns undefined if the user asked for help */
export function parseArguments(args: readonly string[]): Arguments | undefined {
  const { values, positionals } = parsed(args);
  if (values.help === true || positionals.length === 0) return undefined;
  const [command = '', ...rest] = positionals;
  if (!isCommand(command)) {
    throw new Problem(`there is no command '${command}'`, [`The commands: ${COMMANDS.join(', ')}`]);
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

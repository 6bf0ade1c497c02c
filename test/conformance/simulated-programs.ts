/** The programs of a simulated host in the suites: each command of the shell that they use, as a function. */
import type { SimHost } from '../../src/backend/sim/host.ts';
import type { ProgramMain, ProgramProcess } from '../../src/backend/sim/machine/program.ts';
import { programOf } from '../../src/backend/sim/machine/program.ts';
import type { Programs } from '../../src/backend/sim/machine/programs.ts';

type Command = (process: ProgramProcess, host: SimHost) => Promise<number | void>;

const sleep = (host: SimHost, seconds: number): Promise<void> =>
  new Promise((resolve) => {
    host.at(host.time() + seconds, resolve);
  });

async function cat({ stdin, stdout }: ProgramProcess): Promise<void> {
  for await (const chunk of stdin) await stdout.write(chunk);
}

async function discard({ stdin }: ProgramProcess): Promise<void> {
  for await (const _chunk of stdin);
}

const COMMANDS: Readonly<Record<string, Command>> = {
  'cat; echo err >&2': async (process) => {
    await cat(process);
    await process.stderr.write('err\n');
  },
  'echo "$A" | tr a-z A-Z; exit 3': async ({ env, stdout }) => {
    await stdout.write(`${env.A}\n`.toUpperCase());
    return 3;
  },
  'echo word; exec >&- 2>&-; sleep 0.05': async ({ stdout, stderr }, host) => {
    await stdout.write('word\n');
    await stdout.end();
    await stderr.end();
    await sleep(host, 0.05);
  },
  'echo word; sleep 0.05 & exit 0': async ({ stdout }) => stdout.write('word\n'),
  'cat; echo out; echo err >&2': async (process) => {
    await cat(process);
    await process.stdout.write('out\n');
    await process.stderr.write('err\n');
  },
  'exec sleep 100': async (_process, host) => sleep(host, 100),
  'sleep 0.05; exec cat >/dev/null': async (process, host) => {
    await sleep(host, 0.05);
    await discard(process);
  },
  'trap "" TERM; echo ready; exec sleep 100': async (process, host) => {
    process.onSignal('SIGTERM', () => {});
    await process.stdout.write('ready\n');
    await sleep(host, 100);
  },
};

export function installPrograms(programs: Programs, host: SimHost): void {
  const install = (name: string, main: ProgramMain): void => programs.install(name, programOf(main));
  install('printf', async ({ argv, stdout }) => {
    const [, format = '', ...values] = argv;
    await stdout.write(format.replaceAll('%s', () => values.shift() ?? ''));
  });
  install('sleep', ({ argv }) => sleep(host, Number(argv[1])));
  install('true', () => {});
  install('sh', (process) => {
    const [, , text = ''] = process.argv;
    const command = COMMANDS[text];
    if (command === undefined) throw new Error(`the simulated shell does not know ${JSON.stringify(text)}`);
    return command(process, host);
  });
}

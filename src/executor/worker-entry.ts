/** The start of a worker: the program that it runs, and Node's options for it. */
import { fileURLToPath } from 'node:url';
import { LoopError } from '../base/errors.ts';
import { fromSource, isStandalone, packageFile } from '../platform/package-files.ts';
import { workerProgram } from './worker-program.ts';

export interface WorkerEntry {
  /** A file, or code if `options.eval` is true. */
  script: string;
  options: Record<string, unknown>;
}

/**
 * Options such as `--import` are inherited. On Node 20, a loader for TypeScript does not work in a thread by
 * itself, so the thread loads it.
 */
export function threadEntry(): WorkerEntry {
  const main = mainFile();
  return main === null ? { script: workerProgram, options: { eval: true } } : threadProgram(main);
}

/** Returns the start of a thread that runs a file of this package. */
export function threadProgram(main: URL): WorkerEntry {
  if (!fromSource || !process.version.startsWith('v20.')) {
    return { script: fileURLToPath(main), options: {} };
  }
  const loader = packageFile('scripts/typescript/register.mjs') as URL;
  const script = `import(${JSON.stringify(loader.href)}).then(() => import(${JSON.stringify(main.href)}));`;
  return { script, options: { eval: true } };
}

/**
 * With `advanced`, a process can copy as much as a thread, including `Map`, `BigInt` and bytes.
 *
 * @throws LoopError `ERR_UNSUPPORTED` in a single executable, which would start itself
 */
export function processEntry(): WorkerEntry {
  checkProcesses();
  const main = mainFile();
  const inherited = inheritedOptions(process.execArgv);
  const execArgv = main === null ? [...inherited, '-e', workerProgram] : inherited;
  // With the option -e, the host takes the name of a script for an argument.
  const script = main === null ? 'gyre-worker' : fileURLToPath(main);
  return { script, options: { execArgv, serialization: 'advanced' } };
}

/** @throws LoopError `ERR_UNSUPPORTED` if this program cannot start another one by its executable */
export function checkProcesses(): void {
  if (!isStandalone()) return;
  throw new LoopError(
    'ERR_UNSUPPORTED',
    'ProcessPoolExecutor: this program is a single executable, which cannot run the program of a worker: use ThreadPoolExecutor',
  );
}

/** Returns the file of worker-main.ts. null: this is a bundle, and the file is not beside it. */
function mainFile(): URL | null {
  return packageFile(fromSource ? 'src/executor/worker-main.ts' : 'dist/gyre-worker.js');
}

/** Options of Node that name a program. A worker has its own program. */
const WITH_PROGRAM =
  /^(-e|--eval|-p|-pe|--print|-c|--check|-i|--interactive|--test|--watch(-path|-preserve-output)?|--input-type)(=|$)/;
const WITH_VALUE = /^(-e|--eval|-p|-pe|--print|--input-type)$/;

/** Options by which a debugger can reach the process. The second and third stop it until one has. */
const FOR_DEBUGGER = /^--inspect(-brk|-wait)?(?==|$)/;

/**
 * Returns the options without those that concern only this process's program. If a debugger may reach this
 * process, it may reach the worker, too. The worker chooses a free port, because two processes cannot listen
 * at the same one, and waits for no debugger.
 *
 * @param environment Node's options that a worker inherits with the environment
 */
export function inheritedOptions(
  execArgv: readonly string[],
  environment: string = process.env.NODE_OPTIONS ?? '',
): string[] {
  const kept: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const option = execArgv[i] as string;
    if (!WITH_PROGRAM.test(option)) kept.push(option.replace(FOR_DEBUGGER, '--inspect'));
    else if (WITH_VALUE.test(option)) i++;
  }
  const forDebugger = [...kept, ...environment.split(' ')].some((option) => FOR_DEBUGGER.test(option));
  return forDebugger ? [...kept, '--inspect-port=0'] : kept;
}

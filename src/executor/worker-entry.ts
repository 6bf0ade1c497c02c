/** How a worker is started: which file it runs, and with which options of Node's. */
import { fileURLToPath } from 'node:url';

/**
 * `worker-main`, as the file that this one is beside: TypeScript in our own tests, JavaScript in the package.
 */
const FROM_SOURCE: boolean = import.meta.url.endsWith('.ts');
const MAIN: URL = new URL(FROM_SOURCE ? './worker-main.ts' : './worker-main.js', import.meta.url);

export interface WorkerEntry {
  /** A file; code, where `options.eval` says so. */
  script: string;
  options: Record<string, unknown>;
}

/**
 * Options like `--import` are inherited. On Node 20 tsx, which runs our sources, does nothing in a thread by
 * itself.
 */
export function threadEntry(): WorkerEntry {
  if (!FROM_SOURCE || !process.version.startsWith('v20.')) {
    return { script: fileURLToPath(MAIN), options: {} };
  }
  const loader = new URL('../../scripts/typescript/register.mjs', import.meta.url);
  const script = `import(${JSON.stringify(loader.href)}).then(() => import(${JSON.stringify(MAIN.href)}));`;
  return { script, options: { eval: true } };
}

/** `advanced`: a process then copies as much as a thread does, `Map`, `BigInt` and bytes among it. */
export function processEntry(): WorkerEntry {
  return {
    script: fileURLToPath(MAIN),
    options: { execArgv: inheritedOptions(process.execArgv), serialization: 'advanced' },
  };
}

/** Options of Node that give it a program: a worker has its own. */
const WITH_PROGRAM =
  /^(-e|--eval|-p|-pe|--print|-c|--check|-i|--interactive|--test|--watch(-path|-preserve-output)?|--input-type)(=|$)/;
const WITH_VALUE = /^(-e|--eval|-p|-pe|--print|--input-type)$/;

/**
 * Without what concerns only the program that this process runs; the pool library adds what a debugger needs.
 */
export function inheritedOptions(execArgv: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < execArgv.length; i++) {
    const option = execArgv[i] as string;
    if (/^--inspect/.test(option)) continue;
    if (!WITH_PROGRAM.test(option)) kept.push(option);
    else if (WITH_VALUE.test(option)) i++;
  }
  return kept;
}

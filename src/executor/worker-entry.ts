/** The start of a worker: the file that it runs, and Node's options for it. */
import { fileURLToPath } from 'node:url';

/**
 * `worker-main` in the form of this file: TypeScript in the project's own tests, JavaScript in the package.
 */
const FROM_SOURCE: boolean = import.meta.url.endsWith('.ts');
const MAIN: URL = new URL(FROM_SOURCE ? './worker-main.ts' : './worker-main.js', import.meta.url);

export interface WorkerEntry {
  /** A file, or code if `options.eval` is true. */
  script: string;
  options: Record<string, unknown>;
}

/**
 * Options such as `--import` are inherited. On Node 20, tsx does not work in a thread by itself, so the
 * thread loads it.
 */
export function threadEntry(): WorkerEntry {
  if (!FROM_SOURCE || !process.version.startsWith('v20.')) {
    return { script: fileURLToPath(MAIN), options: {} };
  }
  const loader = new URL('../../scripts/typescript/register.mjs', import.meta.url);
  const script = `import(${JSON.stringify(loader.href)}).then(() => import(${JSON.stringify(MAIN.href)}));`;
  return { script, options: { eval: true } };
}

/** With `advanced`, a process can copy as much as a thread, including `Map`, `BigInt` and bytes. */
export function processEntry(): WorkerEntry {
  return {
    script: fileURLToPath(MAIN),
    options: { execArgv: inheritedOptions(process.execArgv), serialization: 'advanced' },
  };
}

/** Options of Node that name a program. A worker has its own program. */
const WITH_PROGRAM =
  /^(-e|--eval|-p|-pe|--print|-c|--check|-i|--interactive|--test|--watch(-path|-preserve-output)?|--input-type)(=|$)/;
const WITH_VALUE = /^(-e|--eval|-p|-pe|--print|--input-type)$/;

/**
 * Returns the options without those that concern only this process's program. The pool library adds the
 * options for a debugger.
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

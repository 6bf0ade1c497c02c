/** Runs one command of `gyre`, and returns the exit code: 1 if it found a fault in the program. */
import { attach } from './attach/attach.ts';
import type { Probe } from './attach/probe.ts';
import { diff } from './commands/diff.ts';
import { doctor } from './commands/doctor.ts';
import { psLines } from './commands/ps.ts';
import { pstreeJson, pstreeLines } from './commands/pstree.ts';
import { serve } from './commands/serve.ts';
import { top } from './commands/top.ts';
import { trace } from './commands/trace.ts';
import { showPage } from './commands/web.ts';
import { takeFigures } from './figures.ts';
import type { Output } from './output.ts';
import { print } from './output.ts';
import type { Arguments } from './usage.ts';
import { parseArguments, USAGE } from './usage.ts';

export async function main(args: readonly string[], output: Output): Promise<number> {
  const parsed = parseArguments(args);
  if (parsed === undefined) return print(output, USAGE.split('\n'));
  if (parsed.command === 'serve') return await serve(parsed, output);
  if (parsed.command === 'diff') return diff(parsed, output);
  const probe = await attach(parsed.pid);
  try {
    return await command(parsed, probe, output);
  } finally {
    await probe.close();
  }
}

async function command(args: Arguments, probe: Probe, output: Output): Promise<number> {
  const { pid, json } = args;
  if (args.web) return await showPage(args, probe, output);
  switch (args.command) {
    case 'ps': {
      const figures = await takeFigures(probe, pid);
      return print(output, json ? [JSON.stringify(figures)] : psLines(figures));
    }
    case 'pstree': {
      const figures = await takeFigures(probe, pid);
      return print(output, json ? [JSON.stringify(pstreeJson(figures))] : pstreeLines(figures));
    }
    case 'top':
      return await top(args, probe, output);
    case 'doctor':
      return await doctor(args, probe, output);
    case 'trace':
      return await trace(args, probe, output);
  }
}

/** `--web`: serves the page until the process ends, or until Ctrl-C. */
import { getRunningLoop } from '../../index.ts';
import type { Probe } from '../attach/probe.ts';
import { takeFigures } from '../figures.ts';
import type { Output } from '../output.ts';
import { print } from '../output.ts';
import type { Arguments } from '../usage.ts';
import { servePage } from '../web/serve-page.ts';
import { taskTree } from './pstree.ts';

export async function showPage({ pid, port }: Arguments, probe: Probe, output: Output): Promise<never> {
  const figures = async () => {
    const taken = await takeFigures(probe, pid);
    const trees = taken.threads.map(({ loops }) => loops.map(taskTree));
    return { ...taken, trees };
  };
  await figures(); // so that a process without gyre is refused here
  await using server = await servePage(port, figures);
  print(output, [server.url, 'Ctrl-C ends it.']);
  return await getRunningLoop().createFuture<never>();
}

/** Reaches a running process: by its own socket if it has one, and otherwise by Node's inspector. */
import { Problem } from '../problem.ts';
import { InspectorProbe } from './inspector-probe.ts';
import { openInspector } from './open-inspector.ts';
import type { Probe } from './probe.ts';
import { processFacts } from './process-facts.ts';
import { SocketProbe } from './socket-probe.ts';

export async function attach(pid: number): Promise<Probe> {
  const found = await SocketProbe.find(pid);
  if (found !== undefined) return found;
  if (process.platform !== 'linux') {
    throw new Problem(`on ${process.platform}, npx gyre reaches programs that import 'gyre/inspect' only`, [
      "Put `import 'gyre/inspect'` into the program, or start it with `node --import gyre/inspect`.",
    ]);
  }
  return await InspectorProbe.connect(await openInspector(processFacts(pid)));
}

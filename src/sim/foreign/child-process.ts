/** `node:child_process` inside a host: it starts no processes of this machine. */
import childProcess from 'node:child_process';
import { LoopError } from '../../base/errors.ts';
import type { Place } from '../place.ts';
import type { Patches } from './patches.ts';

export function patchChildProcess(patches: Patches): void {
  const refuse = () => (place: Place) => {
    throw new LoopError(
      'ERR_UNSUPPORTED',
      `host ${place.hostName} is simulated, and node:child_process would start a process of this machine: ` +
        'install the program with host.install(), and start it with createSubprocessExec() of gyre',
    );
  };
  // All functions of the module that do not wait start a process by this method.
  patches.method(childProcess.ChildProcess.prototype, 'spawn', refuse);
  for (const name of ['spawnSync', 'execSync', 'execFileSync']) patches.method(childProcess, name, refuse);
}

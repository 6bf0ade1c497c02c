/** A process that has only a loop: `node keep-alive.child.ts <backend> <scenario>`. */
import { targets } from './targets.ts';

const [, , backend, scenario] = process.argv;
const target = targets.find((one) => one.backend === backend);
if (target === undefined) throw new Error(`no backend ${backend}`);
const loop = target.makeLoop();

process.on('exit', (code) => console.log(`exit ${code}`));

// An unreferenced timer. If the loop did not keep the process alive, "stopped" would never be printed.
const idleMs = 150;
// biome-ignore lint/style/noRestrictedGlobals: whether the host's own loop stays alive is the subject
setTimeout(() => {
  console.log('idle');
  loop.callSoonThreadsafe(() => loop.stop());
}, idleMs).unref();

if (scenario === 'leave timers') {
  if (!target.exact) loop.callLater(3600, () => {});
  await loop.runUntilComplete(loop.createFuture()).catch(() => console.log('stopped'));
  loop.callLater(3600, () => {});
  loop.callSoon(() => {});
  loop.setExceptionHandler(() => {});
  loop.close();
} else {
  await loop.runForever();
  console.log('stopped');
}

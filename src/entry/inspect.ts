/**
 * `import 'gyre/inspect'` lets `npx gyre` look into this process through a unix socket that only its user can
 * open. Without it, `npx gyre` uses Node's inspector, which `--permission` and `--disable-sigusr1` turn off.
 */
import { listenForInspection } from '../cli/socket/listen.ts';

listenForInspection();

/**
 * Children that exit early, close their pipes, kill themselves or read nothing. `cat` sends its input back,
 * which is then checked.
 */
import type { SubprocessTransport, Transport } from '../../../src/index.ts';
import { DEVNULL, PIPE, SubprocessProtocol, sleep } from '../../../src/index.ts';
import type { Chance } from '../../helpers/chance.ts';
import { Incoming, Outgoing } from './content.ts';
import type { World } from './world.ts';
import { Fault, Planned } from './world.ts';

const ECHO = 'exec cat';
const COMMANDS = [
  ECHO,
  ECHO,
  ECHO,
  'exec head -c 300000 /dev/zero',
  'exec sleep 1000',
  'exec 0<&- 1>&-; exec sleep 1000',
  'kill -9 $$',
  'exit 3',
  'head -c 1000 | tail -c 10; exec cat > /dev/null',
];
const SIZES = [1, 1000, 70_000, 300_000];

class Parent extends SubprocessProtocol {
  readonly #world: World;
  readonly #echoes: boolean;
  readonly incoming: Incoming = new Incoming();
  readonly ended: { setResult(value: undefined): void } & PromiseLike<void>;
  #exited: boolean = false;
  #over: boolean = false;

  constructor(world: World, echoes: boolean) {
    super();
    this.#world = world;
    this.#echoes = echoes;
    this.ended = world.loop.createFuture<void>();
  }

  override pipeDataReceived(fd: number, data: Buffer): void {
    if (this.#over) throw new Fault('data of a child behind its end');
    if (fd === 1 && this.#echoes) this.incoming.take(data);
    if (this.incoming.fault !== null) throw new Fault(`a child: ${this.incoming.fault}`);
    this.#world.saw('data of children');
    if (this.#world.chance.once(200)) throw new Planned();
  }

  override processExited(): void {
    if (this.#exited) throw new Fault('processExited() twice');
    this.#exited = true;
  }

  override connectionLost(): void {
    if (this.#over || !this.#exited) throw new Fault('connectionLost() of a child before its end, or twice');
    this.#over = true;
    this.#world.saw('children');
    this.ended.setResult(undefined);
  }
}

export async function converseWithChild(world: World): Promise<void> {
  const { loop } = world;
  const outgoing = new Outgoing(world.serial());
  const chance = world.chanceOf(outgoing.key);
  const command = chance.one(COMMANDS);
  const parent = new Parent(world, command === ECHO);
  const options = { stdin: chance.one([PIPE, PIPE, DEVNULL]), stderr: chance.one([PIPE, DEVNULL]) };
  const starting = loop.subprocessShell(() => parent, command, options);
  if (chance.once(5)) loop.callLater(chance.of(3000) / 1e6, () => starting.cancel());
  const started = await starting.then(
    (made) => made,
    () => null,
  );
  if (started === null) return;
  for (let steps = chance.of(10); steps > 0; steps--) {
    treat(chance, started[0], outgoing);
    await sleep(chance.of(2000) / 1e6);
  }
  started[0].close();
  await parent.ended;
}

/** Does one thing to a child. */
function treat(chance: Chance, child: SubprocessTransport, outgoing: Outgoing): void {
  const stdin = child.getPipeTransport(0) as Transport | null;
  const stdout = child.getPipeTransport(1) as Transport | null;
  switch (chance.of(12)) {
    case 0:
      child.sendSignal(chance.one(['SIGTERM', 'SIGKILL', 'SIGSTOP', 'SIGCONT', 'SIGHUP']));
      return;
    case 1:
      stdin?.close();
      return;
    case 2:
      stdin?.abort();
      return;
    case 3:
      stdout?.pauseReading();
      return;
    case 4:
    case 5:
      stdout?.resumeReading();
      return;
    case 6:
      if (chance.once(4)) stdout?.close();
      return;
    default:
      if (stdin !== null && !stdin.isClosing() && stdin.getWriteBufferSize() < 1_000_000)
        stdin.write(outgoing.next(chance.one(SIZES)));
  }
}

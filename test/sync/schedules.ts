/**
 * Random schedules for the property tests of the primitives.
 *
 * A schedule is a list of steps. A driver, which is a task of a simulated loop, takes them. It takes a step
 * at once, between two turns, or `soon`, as an entry of the ready queue. An entry falls between the callbacks
 * of a turn, before the code that they resume continues. A cancel can come in both places.
 */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Future, Task } from '../../src/index.ts';
import { CancelledError, getRunningLoop, sleep } from '../../src/index.ts';
import { simulate, turns } from '../helpers/simulation.ts';

/** A user of a primitive, which may be cancelled at any time. */
export interface Actor {
  readonly id: number;
  readonly task: Task<void>;
  readonly controller: AbortController;
  /** The actor was asked to stop. The place of its request decides how far it gets. */
  stopped: boolean;
}

/** The actors of one schedule. */
export class Actors<A extends Actor = Actor> {
  readonly all: A[] = [];

  /**
   * Starts an actor. `eager`: its first step runs within this call.
   *
   * @param more the fields that it has beyond an {@link Actor}
   */
  start(more: Omit<A, keyof Actor>, eager: boolean, act: (actor: A) => Promise<void>): A {
    const controller = new AbortController();
    const actor = { ...more, id: this.all.length, controller, stopped: false } as unknown as A;
    this.all.push(actor);
    const task = getRunningLoop().createTask(() => act(actor), { eager });
    Object.assign(actor, { task });
    return actor;
  }

  /**
   * Returns one of the actors that `which` names, by a number of the schedule, or undefined if there is none.
   */
  pick(number: number, which: (actor: A) => boolean = () => true): A | undefined {
    const some = this.all.filter((actor) => !actor.task.done() && which(actor));
    return some[number % some.length];
  }

  /**
   * Cancels one actor. Half of the numbers select only actors for which `waits` holds, where a cancel can do
   * most harm.
   */
  cancel(number: number, waits: (actor: A) => boolean): void {
    const actor = this.#anyOrWaiting(number, waits);
    if (actor === undefined) return;
    actor.stopped = true;
    actor.task.cancel();
  }

  /** Does the same as {@link cancel}, by the actor's signal. */
  abort(number: number, waits: (actor: A) => boolean): void {
    const actor = this.#anyOrWaiting(number, waits);
    if (actor === undefined) return;
    actor.stopped = true;
    actor.controller.abort();
  }

  #anyOrWaiting(number: number, waits: (actor: A) => boolean): A | undefined {
    return number % 2 === 0 ? this.pick(number / 2, waits) : this.pick((number - 1) / 2);
  }

  /** Checks, at rest, that no stopped actor still waits. */
  noneStoppedThat(waits: (actor: A) => boolean): void {
    const stuck = this.all.filter((actor) => actor.stopped && waits(actor)).map(({ id }) => id);
    assert.deepEqual(stuck, [], 'cancelled, and waits on');
  }

  /** Waits for all actors, and throws any error but a cancel: a failed check, for instance. */
  async end(): Promise<void> {
    for (const { task } of this.all) {
      await (task as Future<void>).catch((error) => {
        if (!(error instanceof CancelledError)) throw error;
      });
    }
  }
}

interface Step<C> {
  readonly command: C;
  readonly soon: boolean;
}

/** Prefers small numbers: the first actor in a queue is the one to watch. */
export const someActor: fc.Arbitrary<number> = fc.oneof(fc.nat(3), fc.nat(99));

/** The commands that every schedule knows. */
export const anyCommand = {
  turn: fc.record({ do: fc.constant('turn' as const) }),
  cancel: fc.record({ do: fc.constant('cancel' as const), actor: someActor }),
  abort: fc.record({ do: fc.constant('abort' as const), actor: someActor }),
};

/**
 * Waits until everything rests that does not wait for the driver: virtual time moves when nothing is ready.
 */
export async function rest(): Promise<void> {
  await sleep(1);
}

/** The game of one schedule. */
export interface Play<C> {
  take(command: C): void;
  /** Holds at any time. */
  always(): void;
  /** Holds at rest. */
  atRest(): void;
  /** Ends the game, and checks the totals. */
  finish(): Promise<void>;
}

/** Checks that `play` keeps its invariants for any list of `commands`. A failure prints seed and schedule. */
export async function checkSchedules<C extends { do: string }>(
  commands: fc.Arbitrary<C>,
  play: () => Play<C>,
): Promise<void> {
  const step: fc.Arbitrary<Step<C>> = fc.record({ command: commands, soon: fc.boolean() });
  const property = fc.asyncProperty(fc.array(step, { maxLength: 50 }), (steps) =>
    simulate(async (loop) => {
      const failures: unknown[] = [];
      const game = play();
      for (const { command, soon } of steps) {
        if (command.do === 'turn') {
          await turns();
        } else if (soon) {
          loop.callSoon(() => {
            try {
              game.take(command);
            } catch (error) {
              failures.push(error);
            }
          });
        } else {
          game.take(command);
        }
        game.always();
      }
      await rest();
      if (failures.length > 0) throw failures[0];
      game.always();
      game.atRest();
      await game.finish();
    }),
  );
  await fc.assert(property, { numRuns: 300, includeErrorInReport: true });
}

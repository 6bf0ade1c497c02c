/** The errors of a simulation. */

/** Codes of {@link SimulationError}. */
export type SimulationErrorCode =
  | 'ERR_SIMULATION_DEADLOCK'
  | 'ERR_SIMULATION_ENDED'
  | 'ERR_SIMULATION_HOST_DOWN'
  | 'ERR_SIMULATION_NESTED'
  | 'ERR_SIMULATION_PROGRAM_ENDED'
  | 'ERR_SIMULATION_REAL_TIME'
  | 'ERR_SIMULATION_REAL_WORK'
  | 'ERR_SIMULATION_TIME_LIMIT'
  | 'ERR_SIMULATION_UNHANDLED';

/**
 * A simulation failed, or a call does not fit its state.
 *
 * - `ERR_SIMULATION_DEADLOCK`: nothing can ever run again, but the scenario waits. The message lists what
 *   each task waits for.
 * - `ERR_SIMULATION_TIME_LIMIT`: the scenario was not done at `timeLimit`. The message has the same list.
 * - `ERR_SIMULATION_REAL_TIME`: the simulation computed for longer than `realTimeLimit`.
 * - `ERR_SIMULATION_REAL_WORK`: real work of a host, for example a file or a thread, took longer than
 *   `realWorkLimit`. The message says who began it.
 * - `ERR_SIMULATION_UNHANDLED`: code of a host threw, and nothing caught it; `cause` is the exception.
 * - `ERR_SIMULATION_PROGRAM_ENDED`: a program ended by `process.exit()`, `kill()`, `crash()` or the end of
 *   the simulation, so it has no result.
 * - `ERR_SIMULATION_HOST_DOWN`: a program was started on a host that has crashed.
 * - `ERR_SIMULATION_ENDED`: a world was used after its simulation.
 * - `ERR_SIMULATION_NESTED`: code of a simulation called `simulate()`.
 */
export class SimulationError extends Error {
  override readonly name: string = 'SimulationError';
  /** The kind of error, for programs. */
  readonly code: SimulationErrorCode;

  constructor(code: SimulationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

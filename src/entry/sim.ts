/**
 * `gyre/sim`: simulated worlds with hosts, a network and virtual time; the simulated loop; and a check that
 * code on them is deterministic.
 */

export type { ChoiceKind } from '../backend/sim/choices.ts';
export type { IcmpMessage, Packet, TcpSegment, UdpDatagram } from '../backend/sim/fabric/packet.ts';
export type { CustomFate } from '../backend/sim/fabric/rules.ts';
export type { MemoryFiles } from '../backend/sim/machine/files.ts';
export type {
  ProgramInput,
  ProgramMain,
  ProgramOutput,
  ProgramProcess,
} from '../backend/sim/machine/program.ts';
export type { ComparableEntry, TraceDifference, TraceEntry } from '../backend/sim/trace.ts';
export { compareTraces } from '../backend/sim/trace.ts';
export type { WorldTraceEntry } from '../backend/sim/world-trace.ts';
export type { SimulatedEventLoopOptions } from '../loops/simulated-event-loop.ts';
export { SimulatedEventLoop } from '../loops/simulated-event-loop.ts';
export { checkDeterminism } from '../sim/determinism.ts';
export type { Seconds } from '../sim/distribution.ts';
export type { DnsRecordOptions } from '../sim/dns.ts';
export { Dns } from '../sim/dns.ts';
export type { SimulationErrorCode } from '../sim/errors.ts';
export { SimulationError } from '../sim/errors.ts';
export type { Decision } from '../sim/explore/decisions.ts';
export type { ScheduleErrorCode, ScheduleFacts } from '../sim/explore/errors.ts';
export { ScheduleError } from '../sim/explore/errors.ts';
export { explore } from '../sim/explore/explore.ts';
export type {
  ExploreBudget,
  ExploreFaults,
  ExploreOptions,
  ExploreProgress,
} from '../sim/explore/options.ts';
export type { Scenario } from '../sim/explore/run.ts';
export type { ExploreReport } from '../sim/explore/search.ts';
export type { StrategyName } from '../sim/explore/strategies.ts';
export type {
  BandwidthOptions,
  FaultOptions,
  FirewallOptions,
  FlapOptions,
  Hosts,
  LatencyOptions,
  LossOptions,
  PartitionOptions,
  ReorderOptions,
} from '../sim/faults.ts';
export { Fault, NetworkFaults } from '../sim/faults.ts';
export type { ProgramOptions, SkewOptions } from '../sim/host.ts';
export { Host } from '../sim/host.ts';
export { InvariantError, invariant } from '../sim/invariant.ts';

import '../sim/foreign/index.ts';

export type { SimulateOptions, SimulationReport } from '../sim/simulate.ts';
export { simulate } from '../sim/simulate.ts';
export type { HostOptions, HostReport } from '../sim/world.ts';
export { World } from '../sim/world.ts';

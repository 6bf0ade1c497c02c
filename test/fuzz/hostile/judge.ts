/** The judgement on a meeting, once all is over: no wrong byte, no wrong peer, nothing missing. */
import type { Meeting } from './kinds.ts';
import type { Peer } from './peer.ts';
import type { Program } from './program.ts';
import type { World } from './world.ts';
import { Fault } from './world.ts';

export function judge(world: World, { programs, peers }: Meeting): void {
  const byKey = new Map(programs.map((program) => [program.outgoing.key, program]));
  for (const peer of peers) {
    if (peer.incoming.fault !== null) throw new Fault(`peer ${peer.outgoing.key}: ${peer.incoming.fault}`);
    const { key } = peer.incoming;
    const program = key === null ? undefined : byKey.get(key);
    // The other end over streams is no program.
    if (program !== undefined) judgePair(world, peer, program);
  }
}

function judgePair(world: World, peer: Peer, program: Program): void {
  const names = `program ${program.outgoing.key} and peer ${peer.outgoing.key}`;
  const theirs = program.incoming.key;
  if (theirs !== null && theirs !== peer.outgoing.key)
    throw new Fault(`${names}: the program got bytes of ${theirs}`);
  if (peer.spoilt) return;
  // A connection that is closed with something unread is reset, and then bytes may be missing.
  const hasReadAll = program.incoming.received === peer.outgoing.sent;
  const isInOrder = program.endedInOrder && !program.broken && program.exception === null;
  if (peer.hadEnd && isInOrder && hasReadAll) {
    world.saw('whole to the peer');
    if (peer.incoming.received !== program.outgoing.sent)
      throw new Fault(`${names}: ${program.outgoing.sent} bytes were sent, ${peer.incoming.received} came`);
  }
  if (program.hadEof && peer.flushed) {
    world.saw('whole to the program');
    if (program.incoming.received !== peer.outgoing.sent)
      throw new Fault(`${names}: ${peer.outgoing.sent} bytes were sent, ${program.incoming.received} came`);
  }
}

/** A view for tests and benchmarks: everybody is there and has been heard, unless told otherwise. */
import type { MembershipView } from "./view.ts";

export function seeing(alive: Iterable<string>, changed: Partial<MembershipView> = {}): MembershipView {
  const { complete = true } = changed;
  const nobody = { away: new Map(), gone: new Set<string>(), isolated: false, reunions: 0, peers: [] };
  return { alive: new Set(alive), ...nobody, complete, mayTake: complete, ...changed };
}

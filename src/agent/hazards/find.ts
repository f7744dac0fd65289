/** Everything about a node that takes packets away, or will. Pure: facts in, hazards out. */
import { findAnswering } from "./answering.ts";
import { findCarrying } from "./carrying.ts";
import type { Hazard, HazardFacts } from "./facts.ts";

/** As many as somebody reads; problems come first. */
const HAZARDS_MAX = 50;

export function findHazards(facts: HazardFacts): readonly Hazard[] {
  const all = [...findAnswering(facts), ...findCarrying(facts)];
  const problems = all.filter(({ level }) => level === "problem");
  return [...problems, ...all.filter(({ level }) => level === "advice")].slice(0, HAZARDS_MAX);
}

/** Those that clients of these addresses may notice. */
export function hazardsTo(addresses: ReadonlySet<string>, hazards: readonly Hazard[]): readonly Hazard[] {
  return hazards.filter(
    ({ level, addresses: harmed }) =>
      level === "problem" && (harmed.length === 0 || harmed.some((address) => addresses.has(address))),
  );
}

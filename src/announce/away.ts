/**
 * Nodes whose agents are away - they have just started and cannot read anything, or are gone for a while - announce what they had and can take
 * nothing over: others pass them over for the rest. Pure.
 *
 * What such a node has is what it was elected for among those who were alive when its agent went: everybody knows that without asking.
 */
import type { Node } from "../service/objects.ts";
import { ANOTHER } from "./contest.ts";
import { obstacleOf, preferredOf, type Members } from "./coverage.ts";
import type { L2Advertisement } from "./objects.ts";

/** Who comes first among nodes for an address; undefined of none. A list that is passed again must not have changed. */
export interface Order<A extends string | typeof ANOTHER> {
  first(nodes: readonly string[], address: string): A | undefined;
  isFirst(node: string, nodes: readonly string[], address: string): boolean;
}

/** What an address is announced by. */
export interface Contenders {
  readonly address: string;
  readonly advertisements: readonly L2Advertisement[];
  /** All that policy and advertisements leave, whatever their state. */
  readonly nodes: () => readonly Node[];
  readonly members: Members;
}

/** Whether nothing but the absence of its agent keeps the node from announcing the address. */
export function isPassedOver(name: string, contenders: Contenders, order: Pick<Order<string>, "isFirst">): boolean {
  const { address, advertisements, nodes, members } = contenders;
  const alive = members.away?.get(name);
  if (alive === undefined) return false;
  const before = nodes().filter((node) => obstacleOf(node, { ...members, alive }) === undefined);
  return !order.isFirst(name, preferredOf(advertisements, before), address);
}

/**
 * The first among those that are not passed over, given the first of all, and those at work that are preferred: in the same list every time, for it
 * is asked about every address. Where that would be nobody it is the first of all.
 */
export function firstAtWork<A extends string | typeof ANOTHER>(
  first: A,
  atWork: readonly string[],
  contenders: Contenders,
  order: Order<A>,
): A {
  const { address, advertisements, members } = contenders;
  if (first !== ANOTHER && members.away?.has(first) !== true) return first;
  // Somebody else at work: it does not matter who, and nobody is asked what it has.
  if (order.first(atWork, address) === ANOTHER) return first;
  const left = contenders.nodes().filter((node) => obstacleOf(node, members) === undefined);
  const names = preferredOf(
    advertisements,
    left.filter(({ metadata }) => !isPassedOver(metadata.name, contenders, order)),
  );
  return order.first(names, address) ?? first;
}

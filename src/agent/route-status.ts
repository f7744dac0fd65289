/**
 * What this node says about BGP in objects: a ServiceBGPStatus for each Service that it announces, with the peers it is meant for -
 * whether their sessions are up is another matter - and an event when it begins to.
 */
import { peersOf, type DesiredBgp } from "../announce/bgp/desired.ts";
import type { BgpStatusWrite, Snapshot } from "../source/source.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import { eventAbout, type StatusOperation } from "./status-operation.ts";

export interface RouteStatusInput {
  readonly node: string;
  readonly desired: DesiredBgp;
  readonly snapshot: Pick<Snapshot, "services" | "complete">;
  /** As they are written now. */
  readonly statuses: ReadonlyMap<string, BgpStatusWrite>;
}

/** So many Services are looked at between two pauses. */
const SERVICES_A_STEP = 128;

/** Statuses before the events about them, removals last. Nothing when nothing changed. */
export function planRouteStatus(input: RouteStatusInput): readonly StatusOperation[] {
  return atOnce(planningRouteStatus(input));
}

/** As {@link planRouteStatus}, with pauses. */
export function* planningRouteStatus({
  node,
  desired,
  snapshot,
  statuses,
}: RouteStatusInput): Sliced<readonly StatusOperation[]> {
  const operations: StatusOperation[] = [];
  const announced = new Set<string>();
  yield* forEach(desired.verdicts.keys(), SERVICES_A_STEP, (service) => {
    const peers = peersOf(desired, service);
    if (peers.length === 0) return;
    announced.add(service);
    const before = statuses.get(service);
    if (before === undefined || before.peers.join() !== peers.join())
      operations.push({ type: "bgp", service, write: { peers } });
    if (before !== undefined) return;
    const message = `announcing from node "${node}" with protocol "bgp"`;
    const event = eventAbout(service, snapshot, { type: "Normal", reason: "nodeAssigned", message });
    operations.push({ type: "event", write: event, follows: { kind: "bgp", service } });
  });
  for (const service of statuses.keys()) {
    // A Service that cannot be read just now is still announced.
    const unknown = !snapshot.complete && !snapshot.services.has(service);
    if (!announced.has(service) && !unknown) operations.push({ type: "bgp", service, write: undefined });
  }
  return operations;
}

/**
 * Beside another load balancer, while a cluster is handed over node by node (docs/migrate.md): a node stands by until its Node object is
 * labelled. All agents see all nodes all the time, so each elects what it would elect afterwards, and nothing moves. Pure.
 */
import type { Traffic } from "../datapath/records.ts";
import type { Problem } from "../net/problem.ts";
import type { Snapshot } from "../source/source.ts";
import type { Me } from "./desired.ts";

export const HANDOVER_LABEL = "fairlead.io/handover";
const HANDED_OVER = "active";
/** Sessions with routers are ours, packets are kube-proxy's still: whichever node they come to, somebody there may know them. */
const BGP_HANDED_OVER = "bgp";

/** Whose packets without a flow row are. */
export function trafficOf({ nodes }: Pick<Snapshot, "nodes">, { nodeName, handover }: Me): Traffic {
  if (!handover) return "ours";
  return stageOf(nodes, nodeName) === HANDED_OVER ? "takingOver" : "standingBy";
}

/** Whether sessions with routers are. */
export function hasSessions(
  { nodes }: Pick<Snapshot, "nodes">,
  { nodeName, handover }: Pick<Me, "nodeName" | "handover">,
): boolean {
  return !handover || [HANDED_OVER, BGP_HANDED_OVER].includes(stageOf(nodes, nodeName) ?? "");
}

function stageOf(nodes: Snapshot["nodes"], nodeName: string): string | undefined {
  return nodes.get(nodeName)?.metadata.labels[HANDOVER_LABEL];
}

/** Not a fault, but nobody must wonder. */
export function standingByProblems(snapshot: Pick<Snapshot, "nodes">, me: Me): readonly Problem[] {
  if (trafficOf(snapshot, me) !== "standingBy") return [];
  const { nodeName } = me;
  const what = hasSessions(snapshot, me) ? "it answers for no address" : "it announces nothing";
  const message = `stands by (--handover): ${what} and serves no new connections until: kubectl label --overwrite node ${nodeName} ${HANDOVER_LABEL}=${HANDED_OVER}`;
  return [{ subject: `Node ${nodeName}`, message }];
}

const NO_PEERS: Snapshot["bgpPeers"] = new Map();

/** As BGP is to see the objects where it is not our turn: the router would have two sessions with this node. */
export function withoutPeers(snapshot: Snapshot): Snapshot {
  return { ...snapshot, bgpPeers: NO_PEERS };
}

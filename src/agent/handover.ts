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

/** Whose packets without a flow row are. */
export function trafficOf({ nodes }: Pick<Snapshot, "nodes">, { nodeName, handover }: Me): Traffic {
  if (!handover) return "ours";
  return nodes.get(nodeName)?.metadata.labels[HANDOVER_LABEL] === HANDED_OVER ? "takingOver" : "standingBy";
}

/** Not a fault, but nobody must wonder. */
export function standingByProblems(traffic: Traffic, nodeName: string): readonly Problem[] {
  if (traffic !== "standingBy") return [];
  const message = `stands by (--handover): it announces nothing and serves no new connections until: kubectl label node ${nodeName} ${HANDOVER_LABEL}=${HANDED_OVER}`;
  return [{ subject: `Node ${nodeName}`, message }];
}

const NO_PEERS: Snapshot["bgpPeers"] = new Map();

/** As BGP is to see the objects: who stands by has no sessions, or the router would have two with this node. */
export function forBgp(snapshot: Snapshot, traffic: Traffic): Snapshot {
  return traffic === "standingBy" ? { ...snapshot, bgpPeers: NO_PEERS } : snapshot;
}

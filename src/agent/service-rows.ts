/** Services of type LoadBalancer: one row each for `fairlead services`, and those that nobody answers for. */
import { peersOf } from "../announce/bgp/desired.ts";
import type { BgpReason } from "../announce/bgp/verdict.ts";
import { formatAddress } from "../net/address.ts";
import type { ServiceRow, StatusDocument } from "../observe/status.ts";
import { ADDRESS_ASSIGNED, REQUEST_MET } from "../pool/claim.ts";
import { algorithmOf } from "../service/algorithm.ts";
import type { Backend, Frontend } from "../service/frontends.ts";
import type { Service } from "../service/objects.ts";
import type { AnnouncerNames } from "./announcers.ts";
import { allProblems, type AgentState } from "./state.ts";

const UNSERVED_MAX = 10;
/** Why BGP is not spoken from this node, which says nothing about others. */
const OWN_REASONS: ReadonlySet<BgpReason> = new Set([
  "nodeNetworkUnavailable",
  "nodeLabeledExcludeBalancers",
  "nodeDraining",
  "noLocalEndpoints",
  "notForwarded",
]);
const NO_CONTROLLER = "no controller has given it an address or said why not";

/** `names`: who announces the addresses, see announcers.ts. */
export function serviceRows(state: AgentState, names: AnnouncerNames): ServiceRow[] {
  const problems = new Map(allProblems(state).map(({ subject, message }) => [subject, message]));
  const unplaced = unplacedServices(state);
  const rows: ServiceRow[] = [];
  for (const [key, service] of state.world?.snapshot.services ?? []) {
    const { metadata, spec, status } = service;
    if (spec.type !== "LoadBalancer") continue;
    const problem = problems.get(`Service ${key}`);
    const addressReason = addressReasonOf(service);
    rows.push({
      namespace: metadata.namespace,
      name: metadata.name,
      addresses: status.loadBalancer.ingress.flatMap(({ ip }) => ip ?? []),
      ports: spec.ports.map(({ port, protocol, targetPort }) => ({
        port,
        protocol,
        ...(targetPort === undefined ? {} : { targetPort: String(targetPort) }),
      })),
      externalTrafficPolicy: spec.externalTrafficPolicy,
      algorithm: algorithmOf(service, key, []),
      ...announcedBy(key, state, unplaced, names),
      ...(addressReason === undefined ? {} : { addressReason }),
      ...bgpFields(state, key),
      backends: countBackends(state.forwarding.frontends.get(key) ?? []),
      ...(problem === undefined ? {} : { problem }),
    });
  }
  return rows.toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

type Announced = Pick<ServiceRow, "announcer" | "announcers" | "announceReason">;

/** By address, because an address that several Services share has one announcer, whatever each elected for itself. */
function announcedBy(key: string, state: AgentState, unplaced: ReadonlySet<string>, names: AnnouncerNames): Announced {
  const election = state.announcing.elections.get(key);
  if (election === undefined) return {};
  if (election.announcer === undefined) return { announceReason: election.reason };
  if (unplaced.has(key)) return { announceReason: "noInterface" };
  const announcers = election.addresses.map((each) => {
    const address = formatAddress(each);
    const node = names.get(address);
    return node === undefined ? { address } : { address, node };
  });
  const announcer = announcers.find(({ node }) => node !== undefined)?.node;
  if (announcer === undefined) return {};
  const same = announcers.every(({ node }) => node === announcer);
  return same ? { announcer } : { announcer, announcers };
}

/** Services that this node should announce with some address and has no device for. */
function unplacedServices({ placed = [] }: AgentState): ReadonlySet<string> {
  return new Set(placed.filter(({ devices }) => devices.length === 0).flatMap(({ services }) => services));
}

/** In the controller's words; undefined: it has what it asks for. */
function addressReasonOf({ status }: Service): string | undefined {
  const { conditions, loadBalancer } = status;
  const type = loadBalancer.ingress.length === 0 ? ADDRESS_ASSIGNED : REQUEST_MET;
  const condition = conditions.find((each) => each.type === type);
  if (condition?.status === "False") return condition.message;
  return type === ADDRESS_ASSIGNED ? NO_CONTROLLER : undefined;
}

export function unservedServices(state: AgentState): StatusDocument["unserved"] {
  const unplaced = unplacedServices(state);
  const first: { service: string; reason: string }[] = [];
  let count = 0;
  for (const [service, { announcer, reason }] of state.announcing.elections) {
    if (announcer !== undefined && !unplaced.has(service)) continue;
    if (isServedByBgp(service, state)) continue;
    count += 1;
    if (first.length < UNSERVED_MAX)
      first.push({ service, reason: reasonText(service, reason ?? "noInterface", state) });
  }
  return { count, first };
}

/** Announced from here; or this node alone stands back, and what the others do they decide for themselves. */
function isServedByBgp(service: string, { bgp }: AgentState): boolean {
  const verdict = bgp?.desired.verdicts.get(service);
  if (bgp === undefined || verdict === undefined || bgp.desired.sessions.length === 0) return false;
  return verdict.reason === undefined ? peersOf(bgp.desired, service).length > 0 : OWN_REASONS.has(verdict.reason);
}

function reasonText(service: string, reason: string, { world }: AgentState): string {
  const object = world?.snapshot.services.get(service);
  if (reason !== "noAddress" || object === undefined) return reason;
  return `no address: ${addressReasonOf(object) ?? NO_CONTROLLER}`;
}

/** Nothing where no BGPPeer is for this node. */
function bgpFields({ bgp }: AgentState, key: string): Pick<ServiceRow, "bgpPeers" | "bgpReason"> {
  if (bgp === undefined || bgp.desired.sessions.length === 0) return {};
  const reason = bgp.desired.verdicts.get(key)?.reason;
  return { bgpPeers: peersOf(bgp.desired, key), ...(reason === undefined ? {} : { bgpReason: reason }) };
}

/** Pods, each once per family, whatever number of ports it serves. */
function countBackends(frontends: readonly Frontend[]): ServiceRow["backends"] {
  const pods = new Map<string, Backend>();
  for (const { backends } of frontends)
    for (const backend of backends) pods.set(formatAddress(backend.address), backend);
  const list = [...pods.values()];
  const inState = (state: Backend["state"]): number => list.filter((backend) => backend.state === state).length;
  return {
    active: inState("active"),
    notReady: inState("notReady"),
    terminating: inState("terminating"),
    local: list.filter(({ local }) => local).length,
  };
}

/** Services of type LoadBalancer: one row each for `fairlead services`, and those that nobody answers for. */
import { peersOf } from "../announce/bgp/desired.ts";
import type { BgpReason } from "../announce/bgp/verdict.ts";
import { formatAddress } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import type { ServiceRow, StatusDocument } from "../observe/status.ts";
import { ADDRESS_ASSIGNED, REQUEST_MET } from "../service/written.ts";
import { algorithmOf } from "../service/algorithm.ts";
import { isTakenOn } from "../service/class.ts";
import type { Backend, Frontend } from "../service/frontends.ts";
import type { Service } from "../service/objects.ts";
import { sorting } from "../time/sorting.ts";
import type { AnnouncerNames } from "./announcers.ts";
import { allProblems, type AgentState } from "./state.ts";

const UNSERVED_MAX = 10;
const PORTS_MAX = 5;
/** Why BGP is not spoken from this node, which says nothing about others. */
const OWN_REASONS: ReadonlySet<BgpReason> = new Set([
  "nodeNetworkUnavailable",
  "nodeLabeledExcludeBalancers",
  "nodeDraining",
  "noLocalEndpoints",
  "notForwarded",
]);
const NO_CONTROLLER = "no controller has given it an address or said why not";

/** What all rows have in common. */
interface Moment {
  /** As it is when the first row is made, whatever comes while the others are. */
  readonly state: AgentState;
  readonly problems: ReadonlyMap<string, readonly Problem[]>;
  readonly unplaced: ReadonlySet<string>;
  readonly names: AnnouncerNames;
}

/** In the order of their names. `names`: who announces the addresses, see announcers.ts. */
export function* serviceRows(now: AgentState, names: AnnouncerNames): Generator<ServiceRow | undefined, void, void> {
  const state = { ...now };
  const problems = Map.groupBy(allProblems(state), ({ subject }) => subject);
  const moment = { state, problems, unplaced: unplacedServices(state), names };
  const services = [...(state.world?.snapshot.services ?? [])];
  for (const [key, service] of yield* sorting(services, ([a], [b]) => (a < b ? -1 : 1)))
    if (service.spec.type === "LoadBalancer") yield serviceRow(key, service, moment);
}

function serviceRow(key: string, service: Service, { state, problems, unplaced, names }: Moment): ServiceRow {
  const { metadata, spec, status } = service;
  const found = (problems.get(`Service ${key}`) ?? []).map(({ message }) => message);
  const problem = [...found, ...portsWithoutBackends(key, service, state)].join("; ");
  const addressReason = addressReasonOf(service);
  return {
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
    ...(problem === "" ? {} : { problem }),
  };
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

/** It is announced, and nobody has the port: a name or a number that is not right. With policy Local a node may have no pods. */
function portsWithoutBackends(key: string, { spec }: Service, state: AgentState): readonly string[] {
  if (spec.externalTrafficPolicy === "Local" || state.announcing.elections.get(key)?.announcer === undefined) return [];
  const frontends = state.forwarding.frontends.get(key) ?? [];
  const empty = frontends.filter(({ backends }) => backends.every(({ state: is }) => is === "notReady"));
  const ports = [...new Set(empty.map(({ port, protocol }) => `${port}/${protocol}`))];
  if (ports.length === 0) return [];
  const more = ports.length > PORTS_MAX ? ` and ${ports.length - PORTS_MAX} more` : "";
  return [`no ready endpoint has port ${ports.slice(0, PORTS_MAX).join(", ")}${more}`];
}

/** In the controller's words; undefined: it has what it asks for. */
function addressReasonOf(service: Service): string | undefined {
  const { status } = service;
  if (!isTakenOn(service)) return undefined;
  const { conditions, loadBalancer } = status;
  const type = loadBalancer.ingress.length === 0 ? ADDRESS_ASSIGNED : REQUEST_MET;
  const condition = conditions.find((each) => each.type === type);
  if (condition?.status === "False") return condition.message;
  return type === ADDRESS_ASSIGNED ? NO_CONTROLLER : undefined;
}

export function unservedServices(state: AgentState): StatusDocument["unserved"] {
  const unplaced = unplacedServices(state);
  // The first by name, sorted all the time: there may be a hundred thousand.
  const names: string[] = [];
  let count = 0;
  for (const [service, { announcer, reason }] of state.announcing.elections) {
    // Another load balancer's.
    if (reason === "otherClass") continue;
    if (announcer !== undefined && !unplaced.has(service)) continue;
    if (isServedByBgp(service, state)) continue;
    count += 1;
    if (names.length === UNSERVED_MAX && service > (names.at(-1) ?? "")) continue;
    const after = names.findIndex((name) => name > service);
    names.splice(after === -1 ? names.length : after, 0, service);
    names.splice(UNSERVED_MAX);
  }
  const first = names.map((service) => {
    const { reason: why = "noInterface" } = state.announcing.elections.get(service) ?? {};
    return { service, reason: reasonText(service, why, state) };
  });
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
  const pods = new Map<bigint, Backend>();
  for (const { backends } of frontends)
    for (const backend of backends) {
      const { family, value } = backend.address;
      pods.set(family === "IPv4" ? value : ~value, backend);
    }
  const list = [...pods.values()];
  const inState = (state: Backend["state"]): number => list.filter((backend) => backend.state === state).length;
  return {
    active: inState("active"),
    notReady: inState("notReady"),
    terminating: inState("terminating"),
    local: list.filter(({ local }) => local).length,
  };
}

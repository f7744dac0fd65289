/**
 * Services and EndpointSlices → what the datapath balances: frontends, each with its backends. Pure.
 *
 * Always of the whole snapshot. With a memo, only Services with other objects than last time are looked at, and the frontends
 * of all others keep their identity (===), so that whoever programs them can skip them too.
 * What a Service asks for and is not done is a problem of it (unsupported.ts); NodePort and externalIPs are left out without a word.
 */
import { formatAddress, parseAddress, type Address } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { changedKeys, emptyMap, type Draft, type PersistentMap } from "../reconcile/persistent-map.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import { algorithmOf, type Algorithm } from "./algorithm.ts";
import { backendsOf, isNodeGone, nodesOf, parseSlices, type Backend, type ThisNode } from "./backends.ts";
import { isTakenOn } from "./class.ts";
import type { EndpointSlice, Service, ServicePort } from "./objects.ts";
import { indexOf, sameObjects, type SliceIndex } from "./slices.ts";
import { isLeftToNode, unsupported } from "./unsupported.ts";

export type { Backend };

/** One address, port and protocol that clients connect to. */
export interface Frontend {
  /** `namespace/name`. */
  readonly service: string;
  readonly address: Address;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly portName?: string;
  readonly algorithm: Algorithm;
  readonly externalTrafficPolicy: "Cluster" | "Local";
  /** By address, then port. Empty: nobody can answer. */
  readonly backends: readonly Backend[];
}

export interface FrontendInput {
  readonly services: ReadonlyMap<string, Service>;
  readonly endpointSlices: ReadonlyMap<string, EndpointSlice>;
}

export interface Resolved {
  /** By Service; those that have none are not in it. Every address, port and protocol once. */
  readonly frontends: ReadonlyMap<string, readonly Frontend[]>;
  /** In the order of the Services' names. */
  readonly problems: readonly Problem[];
}

/** What was resolved last time: pass the same every time. It belongs to one node name. */
export interface FrontendMemo {
  last: Last | undefined;
}

interface Last {
  readonly objects: ReadonlyMap<string, Service>;
  readonly index: SliceIndex;
  readonly node: ThisNode;
  readonly services: Map<string, Remembered>;
  readonly claims: Claims;
  readonly frontends: PersistentMap<readonly Frontend[]>;
  readonly problems: PersistentMap<readonly Problem[]>;
  readonly sortedProblems: readonly Problem[];
}

/** What one Service asks for, whatever others do. */
export interface Remembered {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  /** The nodes of its endpoints, and those of them that were gone. */
  readonly nodes: readonly string[];
  readonly gone: string;
  readonly existingNodes: ReadonlySet<string> | undefined;
  readonly frontends: readonly Frontend[];
  /** formatFrontend() of each frontend. */
  readonly texts: readonly string[];
  readonly problems: readonly Problem[];
}

export function emptyFrontendMemo(): FrontendMemo {
  return { last: undefined };
}

export function resolveFrontends(input: FrontendInput, node: ThisNode, memo = emptyFrontendMemo()): Resolved {
  return atOnce(resolvingFrontends(input, node, memo));
}

const NO_SLICES: readonly EndpointSlice[] = [];
/** So many Services that did not change are passed over between two pauses. */
const UNCHANGED_A_STEP = 64;

/** As {@link resolveFrontends}, with pauses. */
export function* resolvingFrontends(input: FrontendInput, node: ThisNode, memo: FrontendMemo): Sliced<Resolved> {
  const last = memo.last ?? nothing(node);
  // What is begun here and not ended is nothing to go on from.
  memo.last = undefined;
  const { services, claims } = last;
  const index = indexOf(input.endpointSlices);
  const affected = new Set<string>();
  let seen = 0;
  for (const key of keysToResolve(input.services, index, node, last)) {
    const before = services.get(key);
    const service = input.services.get(key);
    const balanced = service?.spec.type === "LoadBalancer" ? service : undefined;
    const now = balanced && resolveAgain(key, balanced, index.get(key) ?? NO_SLICES, node, before);
    seen += 1;
    if (now !== before) {
      if (now === undefined) services.delete(key);
      else services.set(key, now);
      if (now?.frontends !== before?.frontends || now?.service !== before?.service)
        for (const other of claims.change(key, before?.texts, now?.texts)) affected.add(other);
    }
    if (now?.frontends !== before?.frontends || seen % UNCHANGED_A_STEP === 0) yield;
  }
  const frontends = last.frontends.draft();
  const problems = last.problems.draft();
  for (const key of affected) settleClaims(key, { services, claims, frontends, problems });
  const found = problems.finish();
  const sortedProblems = found === last.problems ? last.sortedProblems : sorted(found);
  const resolved = { frontends: frontends.finish(), problems: sortedProblems };
  const { frontends: all } = resolved;
  memo.last = {
    objects: input.services,
    index,
    node,
    services,
    claims,
    frontends: all,
    problems: found,
    sortedProblems,
  };
  return resolved;
}

function nothing(node: ThisNode): Last {
  const none = { frontends: emptyMap<readonly Frontend[]>(), problems: emptyMap<readonly Problem[]>() };
  return {
    ...{ objects: new Map(), index: emptyMap(), node, services: new Map(), claims: new Claims() },
    ...{ ...none, sortedProblems: [] },
  };
}

/** All of them, when other nodes are there or gone than last time: then each has to be asked. */
function keysToResolve(
  objects: FrontendInput["services"],
  index: SliceIndex,
  node: ThisNode,
  last: Last,
): Iterable<string> {
  const services = changedKeys(last.objects, objects);
  const sameNodes = node.existingNodes === last.node.existingNodes && sameNames(node.goneNodes, last.node.goneNodes);
  if (!sameNodes) return new Set([...last.services.keys(), ...services]);
  return new Set([...services, ...changedKeys(last.index, index)]);
}

function sameNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a === b || (a.size === b.size && a.isSubsetOf(b));
}

/** `192.0.2.1:80/TCP`, `[2001:db8::1]:53/UDP`. */
export function formatFrontend(f: Pick<Frontend, "address" | "port" | "protocol">): string {
  const address = formatAddress(f.address);
  return `${f.address.family === "IPv6" ? `[${address}]` : address}:${f.port}/${f.protocol}`;
}

function resolveAgain(
  key: string,
  service: Service,
  slices: readonly EndpointSlice[],
  node: ThisNode,
  before: Remembered | undefined,
): Remembered {
  const { existingNodes } = node;
  if (before?.service === service && sameObjects(before.slices, slices)) {
    const asBefore = before.existingNodes === existingNodes && before.gone === "" && node.goneNodes.size === 0;
    if (asBefore) return before;
    if (before.gone === goneAmong(before.nodes, node)) return { ...before, existingNodes };
  }
  const nodes = nodesOf(slices);
  const problems: Problem[] = [];
  // A copy: what was pushed to has room for seventeen, ten thousand times.
  const frontends = frontendsOf(key, service, slices, node, problems).slice();
  const texts = frontends.map(formatFrontend);
  return { service, slices, nodes, gone: goneAmong(nodes, node), existingNodes, frontends, texts, problems };
}

function goneAmong(nodes: readonly string[], node: ThisNode): string {
  if (node.goneNodes.size === 0 && node.existingNodes === undefined) return "";
  return nodes
    .filter((name) => isNodeGone(name, node))
    .toSorted()
    .join("\n");
}

function frontendsOf(
  key: string,
  service: Service,
  slices: readonly EndpointSlice[],
  node: ThisNode,
  problems: Problem[],
): readonly Frontend[] {
  const subject = `Service ${key}`;
  if (!isTakenOn(service)) return [];
  const addresses = ingressAddresses(service, subject, problems);
  if (addresses.length === 0) return [];
  const algorithm = algorithmOf(service, subject, problems);
  const parsed = parseSlices(slices);
  const { externalTrafficPolicy } = service.spec;
  const frontends: Frontend[] = [];
  problems.push(...unsupported(service, new Set(addresses.map(({ family }) => family)), subject));
  for (const port of service.spec.ports) {
    const { protocol } = port;
    if (protocol === "SCTP") continue;
    for (const address of addresses) {
      if (isLeftToNode(service, address.family)) continue;
      const backends = backendsOf({
        slices: parsed,
        port,
        protocol,
        family: address.family,
        node,
        localOnly: externalTrafficPolicy === "Local",
      });
      frontends.push({
        service: key,
        address,
        port: port.port,
        protocol,
        ...portName(port),
        algorithm,
        externalTrafficPolicy,
        backends,
      });
    }
  }
  return frontends;
}

function portName(port: ServicePort): { portName?: string } {
  return port.name === undefined || port.name === "" ? {} : { portName: port.name };
}

/** KEP-1860: with ipMode "Proxy" the balancer of that address wants to see the traffic itself. */
function ingressAddresses(service: Service, subject: string, problems: Problem[]): readonly Address[] {
  const addresses = new Map<string, Address>();
  for (const [index, { ip, ipMode }] of service.status.loadBalancer.ingress.entries()) {
    if (ip === undefined || ipMode === "Proxy") continue;
    const address = parseAddress(ip);
    if (address !== undefined) addresses.set(formatAddress(address), address);
    else
      problems.push({
        subject,
        path: `status.loadBalancer.ingress[${index}].ip`,
        message: `${JSON.stringify(ip)} is not an IP address`,
      });
  }
  return [...addresses.values()];
}

/** Who wants an address and port, by their text. Nearly always one Service does, and a set costs as much as all the rest of its row. */
class Claims {
  readonly #claimants = new Map<string, string | ReadonlySet<string>>();

  of(text: string): readonly string[] {
    const claimants = this.#claimants.get(text) ?? [];
    return typeof claimants === "string" ? [claimants] : [...claimants];
  }

  /** Of one Service. Those whose frontends may be others by that, itself included. */
  change(service: string, before: readonly string[] = [], now: readonly string[] = []): ReadonlySet<string> {
    const affected = new Set([service]);
    for (const text of before) this.#replace(text, (others) => others.filter((other) => other !== service));
    for (const text of now) this.#replace(text, (others) => [...new Set([...others, service])]);
    for (const text of [...before, ...now]) for (const other of this.of(text)) affected.add(other);
    return affected;
  }

  #replace(text: string, change: (services: readonly string[]) => readonly string[]): void {
    const services = change(this.of(text));
    const [only] = services;
    if (only === undefined) this.#claimants.delete(text);
    else this.#claimants.set(text, services.length === 1 ? only : new Set(services));
  }
}

interface Settling {
  readonly services: ReadonlyMap<string, Remembered>;
  readonly claims: Claims;
  readonly frontends: Draft<readonly Frontend[]>;
  readonly problems: Draft<readonly Problem[]>;
}

/** Services may share an address, not a port of it: the older Service keeps it, then the one whose name sorts first. */
function settleClaims(key: string, { services, claims, frontends, problems }: Settling): void {
  const remembered = services.get(key);
  const all = remembered?.frontends ?? [];
  const lost: Problem[] = [];
  const taken = new Set<string>();
  const won = all.filter((_, index) => {
    const text = remembered?.texts[index] ?? "";
    const winner = claims.of(text).reduce((a, b) => (comesFirst(services.get(a), a, services.get(b), b) ? a : b), key);
    if (winner === key && !taken.has(text)) {
      taken.add(text);
      return true;
    }
    const message = `${text} is not balanced for it: Service ${winner} has the same address and port`;
    lost.push({ subject: `Service ${key}`, message });
    return false;
  });
  const served = won.length === all.length ? all : won;
  const before = frontends.get(key) ?? [];
  if (served.length === 0) frontends.delete(key);
  else if (!sameObjects(before, served)) frontends.set(key, served);
  const found = [...(remembered?.problems ?? []), ...lost];
  if (found.length === 0) problems.delete(key);
  else problems.set(key, found);
}

function comesFirst(a: Remembered | undefined, keyA: string, b: Remembered | undefined, keyB: string): boolean {
  const ageA = a?.service.metadata.creationTimestamp ?? "";
  const ageB = b?.service.metadata.creationTimestamp ?? "";
  return ageA === ageB ? keyA <= keyB : ageA < ageB;
}

function sorted(problems: ReadonlyMap<string, readonly Problem[]>): readonly Problem[] {
  return [...problems].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, list]) => list);
}

/**
 * The difference between what was decided and what the objects say, as writes. Pure; nothing when nothing changed, so that
 * a restart writes nothing and an event is written once.
 */
import { formatAddress } from "../net/address.ts";
import type { Assignment, Decision } from "../pool/decision.ts";
import { deprecatedAnnotations, isEstablished } from "../pool/claim.ts";
import {
  ADDRESS_ASSIGNED,
  ALLOCATED_FROM_POOL,
  ASSIGNED_CLASS,
  OUTPUT_ANNOTATIONS,
  REQUEST_MET,
  SHARED_AS,
} from "../service/written.ts";
import type { AssignmentEvent } from "../pool/work.ts";
import type { Condition, LoadBalancerIngress, Service } from "../service/objects.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import type { EventWrite, PoolStatusWrite, ServiceStatusWrite, Snapshot } from "../source/source.ts";
import { clipped, conditionText, dated } from "./conditions.ts";
import { released, releasesFirst, taken, type Change } from "./order.ts";
import { planPools } from "./plan-pools.ts";

export type Operation =
  | ServiceOperation
  | { readonly type: "pool"; readonly key: string; readonly write: PoolStatusWrite }
  | { readonly type: "event"; readonly write: EventWrite };

export interface ServiceOperation {
  readonly type: "service";
  readonly key: string;
  readonly write: ServiceStatusWrite;
  /** Addresses the Service had and has no more; whoever takes one of them must not be written if this could not be. */
  readonly releases: readonly string[];
  readonly takes: readonly string[];
}

/** So many Services are compared between two pauses. */
const SERVICES_A_STEP = 200;

/** In the order in which to write: addresses are given up before others get them; events follow the write they explain. `now` is the time of transitions. */
export function plan(snapshot: Snapshot, decision: Decision, now: Date): readonly Operation[] {
  return atOnce(planning(snapshot, decision, now));
}

/** As {@link plan}, with pauses. Of Services only those with these keys are compared, when the others are known to say what was decided. */
export function* planning(
  snapshot: Snapshot,
  decision: Decision,
  now: Date,
  keys: Iterable<string> = snapshot.services.keys(),
): Sliced<readonly Operation[]> {
  const happened = new Map<string, AssignmentEvent[]>();
  yield* forEach(decision.events, SERVICES_A_STEP, (event) => {
    const events = happened.get(event.service);
    if (events === undefined) happened.set(event.service, [event]);
    else events.push(event);
  });
  const services: (Change & { readonly operations: readonly Operation[] })[] = [];
  yield* forEach(keys, SERVICES_A_STEP, (key) => {
    const service = snapshot.services.get(key);
    if (service === undefined) return;
    const assignment = decision.assignments.get(key);
    const write =
      assignment === undefined
        ? clearing(service, decision.loadBalancerClass)
        : statusOf(service, assignment, decision.loadBalancerClass, now);
    const changed = write !== undefined && statusDiffers(service, write);
    const before = addressesOf(service.status.loadBalancer.ingress);
    const established = isEstablished(service);
    const change = { key, before, after: changed ? addressesOf(write.ingress) : before, established };
    const operations: Operation[] = changed
      ? [{ type: "service", key, write, releases: released(change), takes: taken(change) }]
      : [];
    for (const event of eventsOf(service, assignment, happened.get(key) ?? [], changed))
      operations.push({ type: "event", write: event });
    if (operations.length > 0) services.push({ ...change, operations });
  });
  const ofServices = (yield* releasesFirst(services)).flatMap(({ operations }) => operations);
  yield;
  return ofServices.concat(yield* planPools(snapshot, decision, now));
}

function addressesOf(ingress: readonly LoadBalancerIngress[]): readonly string[] {
  return ingress.map(({ ip }) => ip ?? "");
}

/**
 * What to write about a Service that is not ours to serve: nothing, unless it was ours before it changed its type or class.
 * Whose it was is written beside the addresses: after the change, the Service itself does not say it any more.
 */
function clearing(service: Service, loadBalancerClass: string | undefined): ServiceStatusWrite | undefined {
  const { annotations } = service.metadata;
  const wasOurs = annotations[ASSIGNED_CLASS] === loadBalancerClass;
  const decided = service.status.conditions.some((c) => c.type === ADDRESS_ASSIGNED);
  // MetalLB's annotation alone says nothing about a Service that another controller may serve.
  const ours = service.spec.type === "LoadBalancer" ? decided && wasOurs : wasOurs;
  return ours ? { ingress: [], conditions: foreignConditions(service), annotations: written({}) } : undefined;
}

/** All annotations that are ours to write; those without a value are removed. */
function written(values: {
  readonly [K in (typeof OUTPUT_ANNOTATIONS)[number]]?: string | undefined;
}): ServiceStatusWrite["annotations"] {
  return Object.fromEntries(OUTPUT_ANNOTATIONS.map((name) => [name, values[name]]));
}

function statusOf(
  service: Service,
  assignment: Assignment,
  loadBalancerClass: string | undefined,
  now: Date,
): ServiceStatusWrite {
  const ingress = assignment.addresses.map((address) => ({ ip: formatAddress(address), ipMode: "VIP" }));
  const before = service.metadata.annotations[ALLOCATED_FROM_POOL];
  // Addresses from a pool that cannot be read now are still from that pool.
  const pool = assignment.pool ?? (ingress.length > 0 ? before : undefined);
  return {
    ingress,
    conditions: [...foreignConditions(service), ...conditionsOf(service, assignment, ingress, pool, now)],
    annotations: written({
      [ALLOCATED_FROM_POOL]: pool,
      [SHARED_AS]: assignment.sharedAs,
      [ASSIGNED_CLASS]: loadBalancerClass,
    }),
  };
}

function conditionsOf(
  service: Service,
  { unmet }: Assignment,
  ingress: readonly LoadBalancerIngress[],
  pool: string | undefined,
  now: Date,
): readonly Condition[] {
  const of = (condition: Condition): Condition => dated(condition, service.status.conditions, now);
  const why = { reason: unmet?.cause ?? "AllocationFailed", message: unmet?.message ?? "" };
  if (ingress.length === 0) return [of({ type: ADDRESS_ASSIGNED, status: "False", ...why })];
  const message = `${ingress.map((i) => i.ip).join(" and ")}${pool === undefined ? "" : ` from pool ${pool}`}`;
  const assigned = of({ type: ADDRESS_ASSIGNED, status: "True", reason: "IPAllocated", message });
  return unmet === undefined ? [assigned] : [assigned, of({ type: REQUEST_MET, status: "False", ...why })];
}

function foreignConditions(service: Service): readonly Condition[] {
  return service.status.conditions.filter((c) => c.type !== ADDRESS_ASSIGNED && c.type !== REQUEST_MET);
}

/** Whether the Service does not say yet what is to be written. The times of conditions do not count. */
export function statusDiffers(service: Service, write: ServiceStatusWrite): boolean {
  const { loadBalancer, conditions } = service.status;
  const { annotations } = service.metadata;
  if (Object.entries(write.annotations).some(([name, value]) => annotations[name] !== value)) return true;
  if (ingressText(loadBalancer.ingress) !== ingressText(write.ingress)) return true;
  return conditionText(conditions) !== conditionText(write.conditions);
}

/** What happened, once; what is unmet, only when it was not said before: the conditions remember over restarts. */
function eventsOf(
  service: Service,
  assignment: Assignment | undefined,
  events: readonly AssignmentEvent[],
  changed: boolean,
): readonly EventWrite[] {
  const unmet = assignment?.unmet?.message;
  const said =
    unmet !== undefined && service.status.conditions.some((c) => c.status === "False" && c.message === clipped(unmet));
  const news = events.filter((event) => !said || event.message !== unmet);
  const writes = news.map(({ type, reason, message }) => {
    return { regarding: regarding(service), type, reason, message: clipped(message) };
  });
  if (!changed || assignment === undefined) return writes;
  const deprecated = deprecatedAnnotations(service).map((key): EventWrite => {
    const message = `Service uses deprecated annotation ${key}`;
    return { regarding: regarding(service), type: "Warning", reason: "deprecatedAnnotation", message };
  });
  return [...deprecated, ...writes];
}

function regarding(service: Service): EventWrite["regarding"] {
  const { name, namespace, uid } = service.metadata;
  return { kind: "Service", namespace, name, ...(uid === undefined ? {} : { uid }) };
}

function ingressText(ingress: readonly LoadBalancerIngress[]): string {
  return JSON.stringify(ingress.map((i) => [i.ip, i.hostname, i.ipMode]));
}

/**
 * The difference between what was decided and what the objects say, as writes. Pure; nothing when nothing changed, so that
 * a restart writes nothing and an event is written once.
 */
import { formatAddress } from "../net/address.ts";
import type { AssignmentEvent, Assignment, Decision } from "../pool/assign.ts";
import { ADDRESS_ASSIGNED, ALLOCATED_FROM_POOL, deprecatedAnnotations } from "../pool/claim.ts";
import { countPools } from "../pool/counts.ts";
import type { IPAddressPool } from "../pool/objects.ts";
import { objectKey, type Condition, type LoadBalancerIngress, type Service } from "../service/objects.ts";
import type { EventWrite, PoolStatusWrite, ServiceStatusWrite, Snapshot } from "../source/source.ts";

export type Operation =
  | { readonly type: "service"; readonly key: string; readonly write: ServiceStatusWrite }
  | { readonly type: "pool"; readonly key: string; readonly write: PoolStatusWrite }
  | { readonly type: "event"; readonly write: EventWrite };

/** False, and only then present: a Service has an address, but not as it asks for. */
const REQUEST_MET = "fairlead.io/RequestMet";
/** False, and only then present: a pool gives no new addresses. */
const POOL_VALID = "fairlead.io/Valid";

/** A condition's reason must look like this; some event reasons of MetalLB do not. */
const CONDITION_REASON = /^[A-Za-z]\w*$/;
const INT64_MAX = (1n << 63n) - 1n;

/** Events follow the write they explain. `now` is the time of transitions. */
export function plan(snapshot: Snapshot, decision: Decision, now: Date): readonly Operation[] {
  const operations: Operation[] = [];
  const happened = Map.groupBy(decision.events, (event) => event.service);
  for (const [key, service] of snapshot.services) {
    const assignment = decision.assignments.get(key);
    const write = assignment === undefined ? clearing(service) : statusOf(service, assignment, now);
    const changed = write !== undefined && differs(service, write);
    if (changed) operations.push({ type: "service", key, write });
    const events = eventsOf(service, assignment, happened.get(key) ?? [], changed);
    operations.push(...events.map((event): Operation => ({ type: "event", write: event })));
  }
  return [...operations, ...poolOperations(snapshot, decision, now)];
}

/** What to write about a Service that is not ours to serve: nothing, unless it was before it changed its type. */
function clearing(service: Service): ServiceStatusWrite | undefined {
  if (service.spec.type === "LoadBalancer") return undefined;
  return { ingress: [], conditions: foreignConditions(service), annotations: { [ALLOCATED_FROM_POOL]: undefined } };
}

function statusOf(service: Service, assignment: Assignment, now: Date): ServiceStatusWrite {
  const ingress = assignment.addresses.map((address) => ({ ip: formatAddress(address), ipMode: "VIP" }));
  const before = service.metadata.annotations[ALLOCATED_FROM_POOL];
  // Addresses from a pool that cannot be read now are still from that pool.
  const pool = assignment.pool ?? (ingress.length > 0 ? before : undefined);
  return {
    ingress,
    conditions: [...foreignConditions(service), ...conditionsOf(service, assignment, ingress, pool, now)],
    annotations: { [ALLOCATED_FROM_POOL]: pool },
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
  const why = { reason: conditionReason(unmet?.reason ?? "AllocationFailed"), message: unmet?.message ?? "" };
  if (ingress.length === 0) return [of({ type: ADDRESS_ASSIGNED, status: "False", ...why })];
  const message = `${ingress.map((i) => i.ip).join(" and ")}${pool === undefined ? "" : ` from pool ${pool}`}`;
  const assigned = of({ type: ADDRESS_ASSIGNED, status: "True", reason: "IPAllocated", message });
  return unmet === undefined ? [assigned] : [assigned, of({ type: REQUEST_MET, status: "False", ...why })];
}

function conditionReason(reason: string): string {
  return CONDITION_REASON.test(reason) ? reason : "NotEnoughClusterIPs";
}

/** The time of a condition is when its status last changed, not when it was last written. */
function dated(condition: Condition, before: readonly Condition[], now: Date): Condition {
  const same = before.find((b) => b.type === condition.type && b.status === condition.status);
  return { ...condition, lastTransitionTime: same?.lastTransitionTime ?? now.toISOString() };
}

function foreignConditions(service: Service): readonly Condition[] {
  return service.status.conditions.filter((c) => c.type !== ADDRESS_ASSIGNED && c.type !== REQUEST_MET);
}

function differs(service: Service, write: ServiceStatusWrite): boolean {
  const { loadBalancer, conditions } = service.status;
  if (service.metadata.annotations[ALLOCATED_FROM_POOL] !== write.annotations[ALLOCATED_FROM_POOL]) return true;
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
  const said = service.status.conditions.some((c) => c.status === "False" && c.message === assignment?.unmet?.message);
  const news = events.filter((event) => !said || event.message !== assignment?.unmet?.message);
  const writes = news.map(({ type, reason, message }) => ({ regarding: regarding(service), type, reason, message }));
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

function poolOperations(snapshot: Snapshot, decision: Decision, now: Date): readonly Operation[] {
  const inUse = [...decision.assignments.values()].flatMap((assignment) => assignment.addresses);
  const counts = countPools(decision.pools, inUse);
  const operations: Operation[] = [];
  for (const [key, pool] of snapshot.ipAddressPools) {
    const counted = counts.get(key);
    if (counted === undefined) continue;
    const message = problemsOf(pool, decision);
    const invalid: Condition = { type: POOL_VALID, status: "False", reason: "InvalidPool", message };
    const conditions = message === "" ? [] : [dated(invalid, pool.status?.conditions ?? [], now)];
    const write = { ...counted, conditions };
    if (!poolDiffers(pool, write)) continue;
    operations.push({ type: "pool", key, write });
    const said = pool.status?.conditions.some((c) => c.message === message) === true;
    if (message !== "" && !said) operations.push({ type: "event", write: poolEvent(pool, message) });
  }
  return operations;
}

function problemsOf(pool: IPAddressPool, decision: Decision): string {
  const subject = `IPAddressPool ${objectKey(pool)}`;
  const own = decision.problems.filter((problem) => problem.subject === subject);
  return own.map((p) => (p.path === undefined ? p.message : `${p.path}: ${p.message}`)).join("; ");
}

function poolEvent(pool: IPAddressPool, message: string): EventWrite {
  const { name, namespace } = pool.metadata;
  return { regarding: { kind: "IPAddressPool", namespace, name }, type: "Warning", reason: "InvalidPool", message };
}

function poolDiffers(pool: IPAddressPool, write: PoolStatusWrite): boolean {
  const { status } = pool;
  if (status === undefined || conditionText(status.conditions) !== conditionText(write.conditions)) return true;
  const fields = ["assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"] as const;
  // Compared as numbers, because that is what reading leaves of an int64.
  return fields.some((field) => status[field] !== Number(write[field] > INT64_MAX ? INT64_MAX : write[field]));
}

function ingressText(ingress: readonly LoadBalancerIngress[]): string {
  return JSON.stringify(ingress.map((i) => [i.ip, i.hostname, i.ipMode]));
}

function conditionText(conditions: readonly Condition[]): string {
  return JSON.stringify(conditions.map((c) => [c.type, c.status, c.reason, c.message]));
}

/** The status of pools: exact counts, what is wrong with them, who waits for them, and what their cool-down must remember. */
import { formatAddress, type Family } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import type { Decision } from "../pool/decision.ts";
import { isCovered } from "../announce/judgement.ts";
import { anycastWarning } from "../pool/anycast.ts";
import type { PoolCounts } from "../pool/counts.ts";
import { formatCoolDown } from "../pool/cool-down.ts";
import type { IPAddressPool } from "../pool/objects.ts";
import type { Pool } from "../pool/pools.ts";
import type { Loss } from "../pool/work.ts";
import { objectKey, type Condition } from "../service/objects.ts";
import type { EventWrite, PoolStatusWrite, Snapshot } from "../source/source.ts";
import { forEach, type Sliced } from "../time/slices.ts";
import { conditionText, dated, POOL_ANYCAST, POOL_EXHAUSTED, POOL_VALID } from "./conditions.ts";
import type { Operation } from "./plan.ts";

const INT64_MAX = (1n << 63n) - 1n;
/** More are counted, not named: an event has a limited length. */
const NAMED_MAX = 10;

/** So many pools are compared between two pauses. */
const POOLS_A_STEP = 50;

export function* planPools(snapshot: Snapshot, decision: Decision, now: Date): Sliced<readonly Operation[]> {
  // What is in use, nobody knows.
  if (snapshot.unread.has("services")) return [];
  const problems = Map.groupBy(decision.problems, (problem) => problem.subject);
  const losses = Map.groupBy(decision.losses, (loss) => loss.pool);
  const operations: Operation[] = [];
  yield* forEach(snapshot.ipAddressPools, POOLS_A_STEP, ([key, object]) => {
    const counts = decision.counts.get(key);
    const pool = decision.pools.named(object.metadata.name);
    if (counts === undefined) return;
    const conditions = [
      ...invalid(problems.get(`IPAddressPool ${objectKey(object)}`) ?? []),
      ...exhausted(pool?.key === key ? decision.exhausted.get(pool) : undefined),
      ...anycast(pool?.key === key && isCovered(object, snapshot.l2Advertisements) ? pool : undefined),
    ].map((condition) => dated(condition, object.status?.conditions ?? [], now));
    const write: PoolStatusWrite = { ...counters(counts), conditions, ...coolDownOf(key, object, decision) };
    const changed = poolStatusDiffers(object, write);
    if (changed) operations.push({ type: "pool", key, write });
    // That an address may be answered by others is a remark, no event.
    const events = changed
      ? news(
          object,
          conditions.filter(({ type }) => type !== POOL_ANYCAST),
        )
      : [];
    const lost = pool?.key === key ? losses.get(object.metadata.name) : undefined;
    if (lost !== undefined) events.push({ reason: "AddressesLost", message: lossMessage(lost) });
    for (const { reason, message } of events)
      operations.push({ type: "event", write: { regarding: regarding(object), type: "Warning", reason, message } });
  });
  return operations;
}

/** Who lost what, for people. */
export function lossMessage(losses: readonly Loss[]): string {
  const named = losses.slice(0, NAMED_MAX).map(({ service, address }) => `${formatAddress(address)} of ${service}`);
  const more = losses.length > named.length ? ` and ${losses.length - named.length} more` : "";
  return `addresses in use are in no pool any more and were taken away: ${named.join(", ")}${more}`;
}

function exhausted(families: readonly Family[] | undefined): readonly Condition[] {
  if (families === undefined) return [];
  const message = `no ${families.join(" and ")} left, and Services wait`;
  return [{ type: POOL_EXHAUSTED, status: "True", reason: "PoolExhausted", message }];
}

function anycast(pool: Pool | undefined): readonly Condition[] {
  const message = pool === undefined ? undefined : anycastWarning(pool.ranges);
  if (message === undefined) return [];
  return [{ type: POOL_ANYCAST, status: "True", reason: "SubnetRouterAnycast", message }];
}

function invalid(problems: readonly Problem[]): readonly Condition[] {
  if (problems.length === 0) return [];
  const message = problems.map((p) => (p.path === undefined ? p.message : `${p.path}: ${p.message}`)).join("; ");
  return [{ type: POOL_VALID, status: "False", reason: "InvalidPool", message }];
}

function coolDownOf(key: string, object: IPAddressPool, decision: Decision): Pick<PoolStatusWrite, "coolDown"> {
  const coolDown = decision.coolDowns.get(key);
  if (coolDown !== undefined) return { coolDown: formatCoolDown(coolDown) };
  // A pool that is closed now still remembers for when it is open again.
  const keeps = decision.pools.pools.find((pool) => pool.key === key)?.closedBecause !== undefined;
  return keeps && object.status?.coolDown !== undefined ? { coolDown: object.status.coolDown } : {};
}

/** What the conditions say and did not say before. */
function news(object: IPAddressPool, conditions: readonly Condition[]): { reason: string; message: string }[] {
  const said = (condition: Condition): boolean =>
    object.status?.conditions.some((c) => c.type === condition.type && c.message === condition.message) === true;
  return conditions.filter((condition) => !said(condition)).map(({ reason, message }) => ({ reason, message }));
}

function regarding({ metadata: { name, namespace, uid } }: IPAddressPool): EventWrite["regarding"] {
  return { kind: "IPAddressPool", namespace, name, ...(uid === undefined ? {} : { uid }) };
}

/** As the API holds them: a /64 has more addresses than an int64 can say. */
function counters(counts: PoolCounts): Pick<PoolStatusWrite, Counter> {
  const int64 = (counter: Counter): bigint => (counts[counter] > INT64_MAX ? INT64_MAX : counts[counter]);
  return {
    assignedIPv4: int64("assignedIPv4"),
    assignedIPv6: int64("assignedIPv6"),
    availableIPv4: int64("availableIPv4"),
    availableIPv6: int64("availableIPv6"),
  };
}

const COUNTERS = ["assignedIPv4", "assignedIPv6", "availableIPv4", "availableIPv6"] as const;
type Counter = (typeof COUNTERS)[number];

/** Whether the pool does not say yet what is to be written. */
export function poolStatusDiffers({ status }: IPAddressPool, write: PoolStatusWrite): boolean {
  if (status === undefined || conditionText(status.conditions) !== conditionText(write.conditions)) return true;
  if (JSON.stringify(status.coolDown) !== JSON.stringify(write.coolDown)) return true;
  // Compared as numbers, because that is what reading leaves of an int64.
  return COUNTERS.some((counter) => status[counter] !== Number(write[counter]));
}

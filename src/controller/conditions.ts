/** Conditions that the controller writes into the status of objects, and how they are compared. */
import type { Condition } from "../service/objects.ts";

/** Of a pool. False, and only then present: it gives no new addresses. */
export const POOL_VALID = "fairlead.io/Valid";
/** Of a pool. True, and only then present: a Service waits because nothing is left. */
export const POOL_EXHAUSTED = "fairlead.io/Exhausted";

/** The time of a condition is when its status last changed, not when it was last written. */
export function dated(condition: Condition, before: readonly Condition[], now: Date): Condition {
  const same = before.find((b) => b.type === condition.type && b.status === condition.status);
  return { ...condition, lastTransitionTime: same?.lastTransitionTime ?? now.toISOString() };
}

/** Equal texts mean that nothing needs to be written. */
export function conditionText(conditions: readonly Condition[]): string {
  return JSON.stringify(conditions.map((c) => [c.type, c.status, c.reason, c.message]));
}

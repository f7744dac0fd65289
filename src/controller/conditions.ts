/** Conditions that the controller writes into the status of objects, and how they are compared. */
import type { Condition } from "../service/objects.ts";

/** Of a pool. False, and only then present: it gives no new addresses. */
export const POOL_VALID = "fairlead.io/Valid";
/** Of a pool. True, and only then present: a Service waits because nothing is left. */
export const POOL_EXHAUSTED = "fairlead.io/Exhausted";

/** Of a pool. True, and only then present: layer 2 announces an address of it that every router of its network answers for. */
export const POOL_ANYCAST = "fairlead.io/SubnetRouterAnycast";

/** The time of a condition is when its status last changed, not when it was last written. Long messages are cut. */
export function dated(condition: Condition, before: readonly Condition[], now: Date): Condition {
  const same = before.find((b) => b.type === condition.type && b.status === condition.status);
  const lastTransitionTime = same?.lastTransitionTime ?? now.toISOString();
  return { ...condition, message: clipped(condition.message), lastTransitionTime };
}

/** Characters: a message may quote an annotation of 256 KB, and the object would grow by it with every condition. */
const MESSAGE_MAX = 1024;

export function clipped(message: string): string {
  return message.length <= MESSAGE_MAX ? message : `${message.slice(0, MESSAGE_MAX - 1)}…`;
}

/** Equal texts mean that nothing needs to be written. */
export function conditionText(conditions: readonly Condition[]): string {
  return JSON.stringify(conditions.map((c) => [c.type, c.status, c.reason, c.message]));
}

/** What a session counts: messages by type, and everything that went wrong by name. */
import type { Message } from "./message.ts";
import type { SessionCounters } from "./speaker.ts";

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

export type MutableCounters = Mutable<Omit<SessionCounters, "sent" | "received" | "faults" | "updates">> & {
  readonly sent: Record<Message["type"], number>;
  readonly received: Record<Message["type"], number>;
  readonly faults: Record<string, number>;
};

export function emptyCounters(): MutableCounters {
  const none = { open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 };
  return { sent: { ...none }, received: { ...none }, established: 0, treatedAsWithdraw: 0, faults: {} };
}

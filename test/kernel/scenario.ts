/** The addresses and expectations that the datapath's tests share. */
import assert from "node:assert/strict";
import { frame, read, type Frame, type Read } from "./frame.ts";
import { NODE_MAC, type Outcome } from "./world.ts";

export const CLIENT = { IPv4: "192.168.10.250", IPv6: "fd10::250" };
export const ADDRESS = { IPv4: "192.168.10.0", IPv6: "fd10:799::" };
export const SECOND = { IPv4: "192.168.10.1", IPv6: "fd10:799::1" };
export const NODE = { IPv4: "192.168.10.201", IPv6: "fd10::201" };
export const REMOTE = { IPv4: "10.244.2.5", IPv6: "fd20:2::5" };
export const OTHER_REMOTE = { IPv4: "10.244.2.6", IPv6: "fd20:2::6" };
export const LOCAL_POD = { IPv4: "10.244.1.5", IPv6: "fd20:1::5" };
export const FOREIGN_POD = { IPv4: "10.244.1.6", IPv6: "fd20:1::6" };
export const CLIENT_MAC = "02:00:00:00:02:50";
export const FAMILIES = ["IPv4", "IPv6"] as const;
export const PROTOCOLS = ["tcp", "udp"] as const;

export function toService(f: (typeof FAMILIES)[number], more: Partial<Frame> = {}): Uint8Array {
  return frame({
    sourceMac: CLIENT_MAC,
    destinationMac: NODE_MAC,
    source: CLIENT[f],
    destination: ADDRESS[f],
    sourcePort: 40000,
    destinationPort: 80,
    ...more,
  });
}

export function tuple(r: Read): string {
  return `${r.source}:${r.sourcePort} > ${r.destination}:${r.destinationPort}`;
}

export function expect(outcome: Outcome, action: string, verdict: string): Read {
  assert.deepEqual({ action: outcome.action, verdict: outcome.verdict }, { action, verdict });
  return read(outcome.frame);
}

/** The frame is as it came; a question about an address of ours does not reach the stack, which might answer it. */
export function untouched(outcome: Outcome, input: Uint8Array, verdict: string): void {
  const action = verdict.startsWith("VERDICT_SILENT_") ? "drop" : "pass";
  assert.deepEqual({ action: outcome.action, verdict: outcome.verdict }, { action, verdict });
  assert.deepEqual(Buffer.from(outcome.frame), Buffer.from(input));
}

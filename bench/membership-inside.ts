/** The inside of `membership.ts`: one node's membership, in a network namespace where somebody answers for all the others. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { address } from "../src/net/address.ts";
import { MEMBERSHIP_PORT, membershipKey } from "../src/protocol/swim/config.ts";
import { startMembership } from "../src/protocol/swim/driver.ts";
import { nodeAddress } from "./kubernetes.ts";
import type { MembershipResult } from "./membership.ts";

const { nodes, seconds } = JSON.parse(process.argv[2] ?? "") as { readonly nodes: number; readonly seconds: number };
const WARM_MS = 3000;
const COMPLETE_MS_MAX = 20_000;

let validUntil = 0n;
const membership = startMembership({
  node: "node-0",
  sourcePort: MEMBERSHIP_PORT + 1,
  key: membershipKey("", (text) => createHash("sha256").update(text).digest()),
  answerMarginMilliseconds: 1000,
  stamp: { read: () => validUntil, write: (value) => (validUntil = value) },
  onLapsed: () => {},
});
membership.setPeers(
  Array.from({ length: nodes - 1 }, (_, index) => ({
    name: `node-${index + 1}`,
    address: address(nodeAddress(index + 1)),
  })),
);
const deadline = performance.now() + COMPLETE_MS_MAX;
while (!membership.view().complete && performance.now() < deadline) await sleep(50);
await sleep(WARM_MS);
const before = { cpu: process.cpuUsage(), sent: datagramsSent(), at: performance.now() };
await sleep(seconds * 1000);
const { user, system } = process.cpuUsage(before.cpu);
const elapsed = (performance.now() - before.at) / 1000;
const { peers, gone } = membership.view();
if (gone.size > 0) throw new Error(`${gone.size} of ${peers.length} peers that answer were found gone`);
// Every probe is a datagram, and so is its answer.
const probesPerSecond = (datagramsSent() - before.sent) / 2 / elapsed;
const result: MembershipResult = { cpuPercent: (user + system) / 1e4 / elapsed, probesPerSecond };
process.stdout.write(JSON.stringify(result));
await membership.stop("leave");

/** Of this network namespace. */
function datagramsSent(): number {
  const [names = "", values = ""] = readFileSync("/proc/net/snmp", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("Udp:"));
  return Number(values.split(" ")[names.split(" ").indexOf("OutDatagrams")] ?? 0);
}

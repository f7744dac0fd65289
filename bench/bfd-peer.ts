/**
 * One of two nodes that keep BFD sessions with each other: `bfd-peer.ts OWN-PREFIX PEER-PREFIX SESSIONS INTERVAL SECONDS`, prefixes
 * as in `10.98.0.`. Waits until all are Up, measures, prints a line of JSON and leaves when its input ends.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { address } from "../src/net/address.ts";
import { DEFAULT_PROFILE } from "../src/protocol/bfd/config.ts";
import { startBfd } from "../src/protocol/bfd/driver.ts";

const [own = "", peer = "", count = "", interval = "", seconds = ""] = process.argv.slice(2);
const profile = {
  ...DEFAULT_PROFILE,
  transmitIntervalMilliseconds: Number(interval),
  receiveIntervalMilliseconds: Number(interval),
};
const bfd = startBfd();
bfd.setSessions(
  Array.from({ length: Number(count) }, (_, i) => ({
    name: `peer${i}`,
    peer: address(`${peer}${i + 1}`),
    local: address(`${own}${i + 1}`),
    multihop: false,
    profile,
  })),
);
while (bfd.view().sessions.length === 0 || bfd.view().sessions.some(({ state }) => state !== "up")) await sleep(50);
// The polls that end the slow pace are over by then.
await sleep(2000);
const cpu = process.cpuUsage();
const before = await bfd.details();
const start = performance.now();
await sleep(Number(seconds) * 1000);
const used = process.cpuUsage(cpu);
const elapsed = performance.now() - start;
const after = await bfd.details();
const sum = (what: "sent" | "received" | "flaps"): number =>
  after.reduce((total, one) => total + one[what], 0) - before.reduce((total, one) => total + one[what], 0);
const result = {
  cpuPercent: (used.user + used.system) / 10 / elapsed,
  packetsPerSecond: (sum("sent") + sum("received")) / (elapsed / 1000),
  longestGapMilliseconds: Math.max(...after.map(({ longestGapMilliseconds }) => longestGapMilliseconds)),
  flaps: sum("flaps"),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.stdin.resume();
await once(process.stdin, "end");
await bfd.stop({ type: "silent" });

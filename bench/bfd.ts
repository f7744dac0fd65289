/** What BFD costs a node: two namespaces on a cable, a process in each, as many sessions between them as asked. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

export interface BfdResult {
  /** Of one processor, for both threads of the process. */
  readonly cpuPercent: number;
  readonly packetsPerSecond: number;
  readonly longestGapMilliseconds: number;
  readonly flaps: number;
}

const PEER = new URL("bfd-peer.ts", import.meta.url).pathname;
const SIDES = [
  { own: "10.98.0.", peer: "10.98.1." },
  { own: "10.98.1.", peer: "10.98.0." },
] as const;

/** Of one of the two; both do the same. At most 250 sessions. */
export async function measureBfd(sessions: number, interval: number, seconds: number): Promise<BfdResult> {
  const names = SIDES.map((_, i) => `fl-bench-${process.pid}-bfd${i}`);
  const children: ChildProcess[] = [];
  for (const name of names) execFileSync("ip", ["netns", "add", name]);
  try {
    const [one = "", two = ""] = names;
    execFileSync("ip", ["link", "add", "eth0", "netns", one, "type", "veth", "peer", "name", "eth0", "netns", two]);
    const results = SIDES.map(async ({ own, peer }, i) => {
      const name = names[i] ?? "";
      const addresses = Array.from({ length: sessions }, (_, n) => `addr add ${own}${n + 1}/23 dev eth0`);
      const script = ["link set lo up", "link set eth0 up", ...addresses].join("\n");
      execFileSync("ip", ["-n", name, "-batch", "-"], { input: script });
      const settings = [own, peer, sessions, interval, seconds].map(String);
      const child = spawn("nsenter", [`--net=/run/netns/${name}`, process.execPath, PEER, ...settings], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      children.push(child);
      const [line] = (await once(child.stdout, "data")) as [Buffer];
      return JSON.parse(line.toString()) as BfdResult;
    });
    const [first] = await Promise.all(results);
    if (first === undefined) throw new Error("No side of the BFD benchmark answered");
    return first;
  } finally {
    for (const child of children) child.stdin?.end();
    await Promise.all(children.filter(({ exitCode }) => exitCode === null).map((child) => once(child, "exit")));
    for (const name of names) execFileSync("ip", ["netns", "del", name]);
  }
}

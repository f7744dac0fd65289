/**
 * How this namespace would send packets to some addresses, through iproute2: their routes, and what is known of the next hops.
 * Asked for by people only, so two processes are fine here.
 */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { z } from "zod";

export interface Way {
  readonly device: string;
  /** The next hop; undefined: the destination itself. */
  readonly via: string | undefined;
  /** Where the route or what was learned of its path says one; the device's holds else. */
  readonly mtu?: number;
  /** Of the next hop: `REACHABLE`, `STALE`, `FAILED`, …; undefined: nobody has asked for it yet. */
  readonly neighbor: string | undefined;
}

/** `refusal`: in the kernel's words. */
export type Routing = { readonly ok: true; readonly way: Way } | { readonly ok: false; readonly refusal: string };

/** In the order of the addresses, which are canonical text. */
export async function findWays(addresses: readonly string[]): Promise<readonly Routing[]> {
  if (addresses.length === 0) return [];
  const asked = run(["-force", "-batch", "-"], addresses.map((address) => `route get ${address}\n`).join(""));
  const [routes, neighbors] = await Promise.all([asked, run(["neigh", "show"], "")]);
  return readWays(addresses, { ...routes, neighbors: neighbors.stdout });
}

/** Devices of the default routes of IPv4, the preferred ones only. */
export async function listDefaultDevices(): Promise<readonly string[]> {
  return readDefaultDevices((await run(["-4", "route", "show", "default"], "")).stdout);
}

/** What is known of neighbors that have answered. */
export async function listNeighbors(): Promise<readonly { readonly address: string; readonly mac: string }[]> {
  const { stdout } = await run(["neigh", "show"], "");
  return parseRows(stdout, neighborsSchema).flatMap(({ dst, lladdr }) =>
    lladdr === undefined ? [] : [{ address: dst, mac: lladdr }],
  );
}

interface Printed {
  readonly stdout: string;
  readonly stderr: string;
}

async function run(options: readonly string[], input: string): Promise<Printed> {
  const child = spawn("ip", ["-j", ...options]);
  const failure = new Promise<never>((_, reject) => child.once("error", reject));
  // Its end before all was read would be an error of the pipe, and is told by what it printed.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.race([Promise.all([text(child.stdout), text(child.stderr)]), failure]);
  return { stdout, stderr };
}

const routesSchema = z.array(
  z.object({
    dst: z.string(),
    dev: z.string(),
    gateway: z.string().optional(),
    /** An IPv4 route by an IPv6 next hop. */
    via: z.object({ host: z.string() }).optional(),
    metrics: z.array(z.object({ mtu: z.number().optional() })).optional(),
  }),
);
const neighborsSchema = z.array(
  z.object({ dst: z.string(), dev: z.string(), state: z.array(z.string()), lladdr: z.string().optional() }),
);

/** What `ip -j -force -batch -` printed about `route get`, a line for each that there is, and `ip -j neigh show`. */
export function readWays(
  addresses: readonly string[],
  printed: Printed & { readonly neighbors: string },
): readonly Routing[] {
  const routes = new Map(
    printed.stdout.split("\n").flatMap((line) => parseRows(line, routesSchema).map((row) => [row.dst, row])),
  );
  const refusals = parseRefusals(printed.stderr);
  const neighbors = parseRows(printed.neighbors, neighborsSchema);
  return addresses.map((address, index): Routing => {
    const route = routes.get(address);
    if (route === undefined) return { ok: false, refusal: refusals.get(index + 1) ?? "ip route get says nothing" };
    const { dev: device } = route;
    const via = route.via?.host ?? route.gateway;
    const [neighbor] = neighbors.find(({ dst, dev }) => dst === (via ?? address) && dev === device)?.state ?? [];
    const mtu = route.metrics?.find((each) => each.mtu !== undefined)?.mtu;
    return { ok: true, way: { device, via, neighbor, ...(mtu === undefined ? {} : { mtu }) } };
  });
}

const defaultsSchema = z.array(
  z.object({
    dev: z.string().optional(),
    metric: z.number().default(0),
    nexthops: z.array(z.object({ dev: z.string() })).optional(),
  }),
);

/** What `ip -j route show default` printed: of several metrics the lowest counts; of several next hops each. */
function readDefaultDevices(printed: string): readonly string[] {
  const routes = parseRows(printed, defaultsSchema);
  const lowest = Math.min(...routes.map(({ metric }) => metric));
  return routes
    .filter(({ metric }) => metric === lowest)
    .flatMap(({ dev, nexthops = [] }) => [...(dev === undefined ? [] : [dev]), ...nexthops.map((hop) => hop.dev)]);
}

/** By line: the words that come before `Command failed -:LINE`. */
function parseRefusals(stderr: string): ReadonlyMap<number, string> {
  const refusals = new Map<number, string>();
  let words: string[] = [];
  for (const line of stderr.split("\n")) {
    const found = /^Command failed -:(\d+)$/.exec(line);
    if (found === null) words.push(line.replace(/^(RTNETLINK answers|Error): /, ""));
    else {
      refusals.set(Number(found[1]), words.join(" ").trim());
      words = [];
    }
  }
  return refusals;
}

/** Nothing where it is not what we expect. */
function parseRows<T>(json: string, schema: z.ZodType<readonly T[]>): readonly T[] {
  if (json.trim() === "") return [];
  const parsed = schema.safeParse(JSON.parse(json));
  return parsed.success ? parsed.data : [];
}

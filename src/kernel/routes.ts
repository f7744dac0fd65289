/**
 * How this namespace would send a packet to an address, through iproute2: the route, and what is known of the next hop.
 * Asked for by people only, so a process is fine here.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { z } from "zod";

export interface Way {
  readonly device: string;
  /** The next hop; undefined: the destination itself. */
  readonly via: string | undefined;
  /** Of the next hop: `REACHABLE`, `STALE`, `FAILED`, …; undefined: nobody has asked for it yet. */
  readonly neighbor: string | undefined;
}

/** `refusal`: in the kernel's words. */
export type Routing = { readonly ok: true; readonly way: Way } | { readonly ok: false; readonly refusal: string };

const run = promisify(execFile);

export async function findWay(address: string): Promise<Routing> {
  let routes: string;
  try {
    ({ stdout: routes } = await run("ip", ["-j", "route", "get", address]));
  } catch (error) {
    const { stderr = "" } = error as { readonly stderr?: string };
    return { ok: false, refusal: stderr.trim().replace(/^RTNETLINK answers: /, "") || (error as Error).message };
  }
  const route = parseRoute(routes);
  if (route === undefined)
    return { ok: false, refusal: `ip route get printed ${JSON.stringify(routes.slice(0, 200))}` };
  const { stdout: neighbors } = await run("ip", [
    "-j",
    "neigh",
    "show",
    "to",
    route.via ?? address,
    "dev",
    route.device,
  ]);
  return { ok: true, way: { ...route, neighbor: parseNeighbor(neighbors) } };
}

const routesSchema = z.array(
  z.object({
    dev: z.string(),
    gateway: z.string().optional(),
    /** An IPv4 route by an IPv6 next hop. */
    via: z.object({ host: z.string() }).optional(),
  }),
);
const neighborsSchema = z.array(z.object({ state: z.array(z.string()) }));

/** The output of `ip -j route get`. */
export function parseRoute(json: string): Pick<Way, "device" | "via"> | undefined {
  const [row] = parseRows(json, routesSchema);
  return row === undefined ? undefined : { device: row.dev, via: row.via?.host ?? row.gateway };
}

/** The output of `ip -j neigh show`. */
export function parseNeighbor(json: string): string | undefined {
  return parseRows(json, neighborsSchema)[0]?.state[0];
}

/** Nothing where it is not what we expect: who asks shows the text then. */
function parseRows<T>(json: string, schema: z.ZodType<readonly T[]>): readonly T[] {
  if (json.trim() === "") return [];
  const parsed = schema.safeParse(JSON.parse(json));
  return parsed.success ? parsed.data : [];
}

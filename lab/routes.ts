/** Routes in the kernel of a lab's routers: what BGP has come to, whatever the daemons say about themselves. */
import { formatAddress, parseAddress, sameAddress } from "../src/net/address.ts";
import type { Lab } from "./lab.ts";
import { runIn } from "./network.ts";
import { namespaceOf } from "./plan.ts";
import { linkLocal } from "./pod-network.ts";
import { waitFor } from "./wait.ts";
import type { Waiting } from "./wait.ts";

export interface NextHop {
  readonly gateway: string;
  readonly device: string;
  readonly weight: number;
  /** The host that has the gateway's address. */
  readonly host?: string;
}

export interface LearnedRoute {
  /** `10.254.254.1/32` */
  readonly prefix: string;
  readonly nextHops: readonly NextHop[];
}

/** The names of the hosts that run routing daemons, those that serve the client first. */
export function routersOf(lab: Lab): readonly string[] {
  const routers = lab.scene.hosts.filter((host) => host.programs.length > 0);
  const client = lab.scene.hosts.find((host) => host.role === "client");
  const facesClient = (name: string): boolean =>
    routers.some(
      (host) =>
        host.name === name && host.interfaces.some((each) => client?.interfaces.some((own) => own.on === each.on)),
    );
  return routers.map((host) => host.name).toSorted((a, b) => Number(facesClient(b)) - Number(facesClient(a)));
}

/** What routing daemons have put into a router's kernel, both families, sorted by prefix. */
export async function readRoutes(lab: Lab, router: string): Promise<readonly LearnedRoute[]> {
  const found = await Promise.all(
    (["-4", "-6"] as const).map(async (family) => {
      const { stdout } = await runIn(namespaceOf(lab.name, router), ["ip", "-j", family, "route", "show"]);
      return parseRoutes(stdout, family === "-4" ? 32 : 128);
    }),
  );
  return found
    .flat()
    .map((route) => ({
      ...route,
      nextHops: route.nextHops.map((each) => {
        const host = hostOfGateway(lab, router, each);
        return host === undefined ? each : { ...each, host };
      }),
    }))
    .toSorted((a, b) => (a.prefix < b.prefix ? -1 : 1));
}

/** The hosts a router sends to for an address with a route of its own, sorted. */
export async function nextHopsTo(lab: Lab, router: string, address: string): Promise<readonly string[]> {
  const prefix = `${address}/${address.includes(":") ? 128 : 32}`;
  const route = (await readRoutes(lab, router)).find((each) => each.prefix === prefix);
  return (route?.nextHops ?? []).map(({ host, gateway }) => host ?? gateway).toSorted();
}

/** Waits until a router's kernel sends to exactly these hosts for each of the addresses. */
export async function waitForNextHops(
  lab: Lab,
  router: string,
  addresses: readonly string[],
  hosts: readonly string[],
  waiting: Waiting = {},
): Promise<void> {
  const wanted = hosts.toSorted().join(" ");
  let found: readonly string[] = [];
  await waitFor(
    `${router} to have ${addresses.join(", ")} by ${wanted || "nobody"}`,
    async () => {
      const all = await Promise.all(addresses.map((address) => nextHopsTo(lab, router, address)));
      found = all.map((each) => each.join(" "));
      return found.every((each) => each === wanted) ? true : undefined;
    },
    { milliseconds: 20_000, ...waiting, explain: () => `it has ${found.map((each) => each || "nobody").join("; ")}` },
  );
}

/** Only what routing daemons have put there: FRR's `bgp`, BIRD's `bird`. */
export function parseRoutes(json: string, bits: 32 | 128): readonly LearnedRoute[] {
  const rows = JSON.parse(json.trim() === "" ? "[]" : json) as readonly RouteRow[];
  const routes = new Map<string, NextHop[]>();
  for (const row of rows) {
    if (!["bgp", "bird"].includes(row.protocol ?? "")) continue;
    const prefix = row.dst.includes("/") ? row.dst : `${row.dst}/${bits}`;
    const nextHops = (row.nexthops ?? [row]).map((each): NextHop => ({
      gateway: each.gateway ?? each.via?.host ?? "",
      device: each.dev ?? "",
      weight: each.weight ?? 1,
    }));
    routes.set(prefix, [...(routes.get(prefix) ?? []), ...nextHops]);
  }
  return [...routes].map(([prefix, nextHops]) => ({ prefix, nextHops }));
}

interface HopRow {
  readonly gateway?: string;
  /** A gateway of the other family. */
  readonly via?: { readonly host: string };
  readonly dev?: string;
  readonly weight?: number;
}

interface RouteRow extends HopRow {
  readonly dst: string;
  readonly protocol?: string;
  readonly nexthops?: readonly HopRow[];
}

/** By address, or by the MAC address from which a link-local one is made. */
function hostOfGateway(lab: Lab, router: string, { gateway, device }: NextHop): string | undefined {
  const address = parseAddress(gateway);
  if (address === undefined) return undefined;
  const host = lab.scene.hosts.find((each) =>
    [...each.loopback, ...each.interfaces.flatMap((one) => one.addresses)].some((own) =>
      sameAddress(own.address, address),
    ),
  );
  if (host !== undefined) return host.name;
  const on = lab.scene.hosts.find((each) => each.name === router)?.interfaces.find((each) => each.name === device)?.on;
  const others = lab.scene.hosts.filter((each) => each.interfaces.some((one) => one.on === on));
  const ends = lab.plan.cables.flatMap(({ near, far }) => [near, far]);
  return others.find((other) =>
    ends.some((end) => end.member === other.name && linkLocal(end.mac) === formatAddress(address)),
  )?.name;
}

/** Addresses per pool for Prometheus, under the names MetalLB gives them. */
import { createServer, type Server } from "node:http";
import { Gauge, Registry } from "prom-client";
import { parseListen } from "../net/listen.ts";
import type { Decision } from "../pool/assign.ts";
import { countPools, type PoolCounts } from "../pool/counts.ts";

type Count = (counts: PoolCounts) => bigint;

const GAUGES: readonly { readonly name: string; readonly help: string; readonly count: Count }[] = [
  {
    name: "metallb_allocator_addresses_total",
    help: "Number of usable IP addresses, per pool",
    count: (c) => c.assignedIPv4 + c.availableIPv4 + c.assignedIPv6 + c.availableIPv6,
  },
  {
    name: "metallb_allocator_ipv4_addresses_total",
    help: "Number of usable IPv4 addresses, per pool",
    count: (c) => c.assignedIPv4 + c.availableIPv4,
  },
  {
    name: "metallb_allocator_ipv6_addresses_total",
    help: "Number of usable IPv6 addresses, per pool",
    count: (c) => c.assignedIPv6 + c.availableIPv6,
  },
  {
    name: "metallb_allocator_addresses_in_use_total",
    help: "Number of IP addresses in use, per pool",
    count: (c) => c.assignedIPv4 + c.assignedIPv6,
  },
  {
    name: "metallb_allocator_ipv4_addresses_in_use_total",
    help: "Number of IPv4 addresses in use, per pool",
    count: (c) => c.assignedIPv4,
  },
  {
    name: "metallb_allocator_ipv6_addresses_in_use_total",
    help: "Number of IPv6 addresses in use, per pool",
    count: (c) => c.assignedIPv6,
  },
];

export class ControllerMetrics {
  readonly #registry = new Registry();
  readonly #gauges = GAUGES.map(({ name, help, count }) => ({
    gauge: new Gauge({ name, help, labelNames: ["pool"], registers: [this.#registry] }),
    count,
  }));
  readonly #withoutAddress = new Gauge({
    name: "fairlead_controller_services_without_address",
    help: "Services of type LoadBalancer that could not be given an address",
    registers: [this.#registry],
  });

  readonly #leading = new Gauge({
    name: "fairlead_controller_leading",
    help: "1 while this replica is the one that acts",
    registers: [this.#registry],
  });

  leading(leading: boolean): void {
    this.#leading.set(leading ? 1 : 0);
  }

  update(decision: Decision): void {
    const assignments = [...decision.assignments.values()];
    const counts = countPools(
      decision.pools,
      assignments.flatMap((assignment) => assignment.addresses),
    );
    this.#withoutAddress.set(assignments.filter((assignment) => assignment.addresses.length === 0).length);
    for (const { gauge, count } of this.#gauges) {
      // A pool that went must not stay as its last number.
      gauge.reset();
      for (const pool of decision.pools.pools) {
        const counted = counts.get(pool.key);
        if (counted !== undefined) gauge.set({ pool: pool.name }, Number(count(counted)));
      }
    }
  }

  async text(): Promise<string> {
    return this.#registry.metrics();
  }
}

/** Serves /metrics on `HOST:PORT`. Rejects when it cannot listen there. */
export async function serveMetrics(listen: string, metrics: ControllerMetrics): Promise<Server> {
  const address = parseListen(listen);
  if (address === undefined)
    throw new Error(`Cannot listen for metrics on ${JSON.stringify(listen)}: expected HOST:PORT`);
  const server = createServer((request, response) => {
    if (request.method !== "GET" || request.url !== "/metrics") {
      response.writeHead(404).end("Only GET /metrics is served here\n");
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { "content-type": "text/plain; version=0.0.4" }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, resolve);
  });
  return server;
}

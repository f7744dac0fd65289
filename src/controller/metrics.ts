/** The numbers of the latest decision for Prometheus. */
import { createServer, type Server } from "node:http";
import { Counter, Gauge, Registry } from "prom-client";
import { parseListen } from "../net/listen.ts";
import type { Decision } from "../pool/decision.ts";
import type { ConfigurationVerdict } from "../reconcile/configuration-state.ts";
import type { Convergence } from "../reconcile/retry.ts";
import type { Sliced } from "../time/slices.ts";
import { GAUGES } from "./samples.ts";

export class ControllerMetrics {
  readonly #registry = new Registry();
  readonly #gauges = GAUGES.map(({ name, help, labels, samples }) => ({
    gauge: new Gauge({ name, help, labelNames: [...labels], registers: [this.#registry] }),
    samples,
  }));

  readonly #leading = new Gauge({
    name: "fairlead_controller_leading",
    help: "1 while this replica is the one that acts",
    registers: [this.#registry],
  });

  readonly #loaded = new Gauge({
    name: "metallb_k8s_client_config_loaded_bool",
    help: "1 once a configuration was read",
    registers: [this.#registry],
  });

  readonly #stale = new Gauge({
    name: "metallb_k8s_client_config_stale_bool",
    help: "1 while some of the configuration cannot be used: its last good form is, or nothing",
    registers: [this.#registry],
  });

  readonly #expiry = new Gauge({
    name: "fairlead_webhook_certificate_expiry_timestamp_seconds",
    help: "When the certificate that the webhook serves with expires; 0: it does not serve",
    registers: [this.#registry],
  });

  readonly #problems = new Gauge({
    name: "fairlead_controller_problems",
    help: "Problems known to this replica now: objects it cannot read or use, kinds it may not list, what it may not write",
    registers: [this.#registry],
  });

  readonly #found = new Map<string, number>();

  readonly #updates = new Counter({
    name: "metallb_k8s_client_updates_total",
    help: "Changes of objects that were handled; several that come together count once",
    registers: [this.#registry],
  });

  readonly #updateErrors = new Counter({
    name: "metallb_k8s_client_update_errors_total",
    help: "Of these, those whose result could not be written and is tried again",
    registers: [this.#registry],
  });

  readonly #failedWrites = new Counter({
    name: "fairlead_controller_failed_writes_total",
    help: "Statuses and events that could not be written; each is tried again",
    registers: [this.#registry],
  });

  /** Those of each origin count together. */
  problems(origin: "objects" | "hindrances", count: number): void {
    this.#found.set(origin, count);
    this.#problems.set(this.#found.values().reduce((sum, each) => sum + each, 0));
  }

  /** What was decided has been written, or could not be. */
  converged({ state }: Convergence): void {
    this.#updates.inc();
    if (state === "failed") this.#updateErrors.inc();
  }

  writeFailed(): void {
    this.#failedWrites.inc();
  }

  webhookExpires(at: Date): void {
    this.#expiry.set(at.getTime() / 1000);
  }

  /** The objects were read, whichever replica acts. */
  loaded(): void {
    this.#loaded.set(1);
  }

  judged({ result }: Pick<ConfigurationVerdict, "result">): void {
    this.#stale.set(result === "Invalid" ? 1 : 0);
  }

  leading(leading: boolean): void {
    this.#leading.set(leading ? 1 : 0);
    // What was true in an earlier term must not be counted beside the numbers of whoever acts now.
    if (leading) return;
    for (const { gauge } of this.#gauges) gauge.reset();
    this.#stale.set(0);
  }

  /** With pauses: each number may be counted over a hundred thousand Services. */
  *updating(decision: Decision): Sliced<void> {
    for (const { gauge, samples } of this.#gauges) {
      // A pool that went must not stay as its last number.
      gauge.reset();
      for (const { labels, value } of samples(decision)) gauge.set(labels, value);
      yield;
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

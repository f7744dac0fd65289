/** The agent as a program: wiring, from its options to its end. */
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import { createMetrics } from "../observe/metrics.ts";
import { requireSocket, serveApi, serveMetrics, type ApiHandlers } from "../observe/api.ts";
import { serveHealth } from "../observe/health.ts";
import { openLog, type Log } from "../observe/log.ts";
import { formatProblem } from "../net/problem.ts";
import { missingFeatures } from "../kernel/features.ts";
import type { StopMode } from "../protocol/swim/driver.ts";
import { startAgent, type Agent } from "./agent.ts";
import { captureBgp } from "./bgp-pcap.ts";
import { parseOptions, type AgentConfig, type AgentOptions } from "./config.ts";
import { openDatapath, removeDatapath } from "./datapath.ts";
import { documents } from "./documents.ts";
import { describeMissing, tellMissing } from "./hazards/missing-features.ts";
import { waitingFor } from "./readiness.ts";
import { isRemoved } from "./removal.ts";
import { addressOfGratuitous, metricsSource } from "./measure.ts";
import { monitorEvents } from "./monitor.ts";
import { startRemoteApi } from "./remote-api.ts";
import { removeStateFiles } from "./state-files.ts";

/** Options that make no sense; the message names each. */
export class OptionsError extends Error {
  override readonly name = "OptionsError";
}

/**
 * Runs until the signal is aborted. Then the datapath stays as it is, pinned, and keeps this node's addresses for ten
 * minutes (`leaveOnStop`: gives them up at once; where its DaemonSet is deleted, the datapath goes too). Rejects when it cannot start, and when it cannot go on.
 */
export async function runAgent(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const config = parseOptions(options);
  if ("problems" in config) throw new OptionsError(config.problems.map(formatProblem).join("\n"));
  const version = packageVersion();
  const log = openLog({ node: config.nodeName, level: config.logLevel });
  log("starting", { version, bpffs: config.bpffs, socket: config.socket });
  await requireSocket(config.socket);
  await requireFeatures(config, log);
  await using opened = new AsyncDisposableStack();
  const datapath = openDatapath(config);
  opened.defer(() => datapath.close());
  log("datapathLoaded", { bpffs: config.bpffs });

  const failure = Promise.withResolvers<never>();
  let measured: ReturnType<typeof createMetrics> | undefined;
  let mode: StopMode = "failed";
  const agent: Agent = await startAgent({
    config,
    datapath,
    log,
    version,
    onPass: (result) => measured?.passed(result),
    onGratuitous: (frame) => measured?.gratuitousSent.inc({ ip: addressOfGratuitous(frame) }),
    onFailure: failure.reject,
  });
  opened.defer(() => agent.stop(mode));
  const metrics = createMetrics(metricsSource(agent.state));
  measured = metrics;
  const handlers: ApiHandlers = {
    documents: documents(agent.state, agent.me),
    changes: { "/v1/drain": (body) => agent.drain(body) },
    metrics: () => metrics.scrape(),
    monitor: monitorEvents(agent.state, datapath),
    bgpPcap: captureBgp(agent.state, log),
    onError: (path, error) => log("requestFailed", { path, error: error instanceof Error ? error.stack : error }),
  };
  opened.defer(closing(await serveApi(config.socket, handlers)));
  if (config.metricsListen !== undefined) opened.defer(closing(await serveMetrics(config.metricsListen, handlers)));
  if (config.healthListen !== undefined)
    opened.defer(closing(await serveHealth(config.healthListen, () => waitingFor(agent.state))));
  opened.defer(startRemoteApi(config, agent, handlers, log));

  await Promise.race([aborted(signal), failure.promise]);
  const removed = await isRemoved(agent.kubernetes, config.daemonSet, log);
  mode = config.leaveOnStop || removed ? "leave" : "restart";
  log("stopping", { mode });
  await opened.disposeAsync();
  if (removed) removeDatapath(config.bpffs);
  log(mode === "leave" ? "left" : "stopped");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function closing(server: Server): () => void {
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

/** Takes the datapath of a node off its devices and out of the kernel, and forgets what agents remembered. No agent may run there. */
export function cleanup({ bpffs, socket }: { readonly bpffs: string; readonly socket: string }): void {
  removeDatapath(bpffs);
  removeStateFiles(socket);
}

async function requireFeatures(config: AgentConfig, log: Log): Promise<void> {
  const missing = missingFeatures();
  if (missing.length === 0) return;
  await tellMissing(config, missing).catch((error: unknown) =>
    log("problem", { message: "Cannot say on the Node what its kernel lacks", cause: String(error) }),
  );
  throw new Error(describeMissing(missing));
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}

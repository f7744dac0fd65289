/** `fairlead controller`: gives addresses to Services. One replica; its only state is what it has written. */
import { once } from "node:events";
import { pino, type Logger } from "pino";
import { formatProblem } from "../net/problem.ts";
import { openFolderSource } from "../source/manifests/folder.ts";
import { control } from "./controller.ts";
import { ControllerMetrics, serveMetrics } from "./metrics.ts";

export interface ControllerOptions {
  /** Folders or files with manifests. */
  readonly manifests: readonly string[];
  /** Where status is written. */
  readonly state: string;
  /** Serve Services of this class; absent: those without one. */
  readonly loadBalancerClass?: string;
  /** `HOST:PORT`; absent: no metrics. */
  readonly metricsListen?: string;
  /** A level of pino: trace, debug, info, warn, error, fatal, silent. */
  readonly logLevel?: string;
}

/** Runs until the signal. Rejects when it cannot start: the state folder cannot be written, the port is taken. */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const log = openLog(options.logLevel ?? "info");
  const metrics = new ControllerMetrics();
  const server = options.metricsListen === undefined ? undefined : await serveMetrics(options.metricsListen, metrics);
  const source = await openFolderSource({
    manifests: options.manifests,
    state: options.state,
    log: (problem) => log.warn({ event: "problem", problem }, formatProblem(problem)),
  });
  log.info({ event: "starting", manifests: options.manifests, state: options.state }, "Controller starts");
  const { loadBalancerClass } = options;
  await control(
    {
      source,
      log,
      decided: (decision) => metrics.update(decision),
      ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
    },
    signal,
  );
  await source.close();
  if (server !== undefined) {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }
  log.info({ event: "stopped" }, "Controller stopped");
}

/** As the agent's: one line of JSON an event, `event` the stable name, `msg` for people. */
function openLog(level: string): Logger {
  const options = {
    level,
    base: { program: "controller" },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  // Synchronous: the last lines before the end are those that are needed most.
  return pino(options, pino.destination({ dest: 1, sync: true }));
}

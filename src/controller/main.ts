/** `fairlead controller`: gives addresses to Services. One replica acts; its only state is what it has written. */
import { once } from "node:events";
import type { Server } from "node:http";
import { pino, type Logger } from "pino";
import type { ListenAddress } from "../net/listen.ts";
import { formatProblem } from "../net/problem.ts";
import { serveHealth } from "../observe/health.ts";
import type { Timing } from "../source/kubernetes/lease/machine.ts";
import { openOrigin, type Opened, type Origin } from "../source/open.ts";
import type { Decision } from "../pool/decision.ts";
import type { ConfigurationVerdict } from "../reconcile/configuration-state.ts";
import type { Convergence } from "../reconcile/retry.ts";
import type { WebhookOptions } from "./admission/webhook.ts";
import { control } from "./controller.ts";
import { Hindrances, type Work } from "./hindrances.ts";
import { actWhileLeading } from "./leading.ts";
import { keepMembershipSecret } from "./membership-secret.ts";
import { ControllerMetrics, serveMetrics } from "./metrics.ts";
import { Progress } from "./progress.ts";

export interface ControllerOptions {
  readonly origin: Origin;
  /** With Kubernetes: this replica's name, unlike every other's. */
  readonly identity: string;
  /** With Kubernetes: how the replicas agree on the one that acts. */
  readonly leaseTiming: Timing;
  /** With Kubernetes: where the validating webhook is served, and the names that the API server calls it by; absent: nowhere. */
  readonly webhook?: Pick<WebhookOptions, "listen" | "names" | "certificateFolder"> | undefined;
  /** With Kubernetes: a Secret to make where it is not there, with the key of the agents' probes; absent: none. */
  readonly membershipSecret?: string | undefined;
  /** Serve Services of this class; absent: those without one. */
  readonly loadBalancerClass?: string;
  /** `HOST:PORT`; absent: no metrics. */
  readonly metricsListen?: string;
  /** Where /healthz and /readyz are served; absent: nowhere. */
  readonly healthListen?: ListenAddress;
  /** A level of pino: trace, debug, info, warn, error, fatal, silent. */
  readonly logLevel?: string;
}

/** Runs until the signal. Rejects when it cannot start: the state folder cannot be written, the port is taken. */
export async function runController(options: ControllerOptions, signal: AbortSignal): Promise<void> {
  const log = openLog(options.logLevel ?? "info");
  const metrics = new ControllerMetrics();
  const progress = new Progress(options);
  const servers: Server[] = [];
  if (options.metricsListen !== undefined) servers.push(await serveMetrics(options.metricsListen, metrics));
  if (options.healthListen !== undefined)
    servers.push(await serveHealth(options.healthListen, () => progress.waitingFor()));
  const { origin, identity } = options;
  const opened = await openOrigin(origin, {
    component: "fairlead-controller",
    instance: identity,
    log: (problem) => log.warn({ event: "problem", problem }, formatProblem(problem)),
    solved: (problem) => log.info({ event: "problemSolved", problem }, `Solved: ${formatProblem(problem)}`),
  });
  const countProblems = (): void => metrics.problems("objects", opened.source.snapshot().problems.length);
  opened.source.subscribe(countProblems);
  countProblems();
  log.info({ event: "starting", origin }, "Controller starts");
  void opened.source.ready.then(() => {
    progress.objectsRead = true;
    metrics.loaded();
  });
  await run(options, opened, { log, metrics, progress }, signal);
  await opened.source.close();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }
  log.info({ event: "stopped" }, "Controller stopped");
}

interface Parts {
  readonly log: Logger;
  readonly metrics: ControllerMetrics;
  readonly progress: Progress;
}

async function run(
  options: ControllerOptions,
  { source, kubernetes }: Opened,
  { log, metrics, progress }: Parts,
  signal: AbortSignal,
): Promise<void> {
  const { loadBalancerClass, identity, leaseTiming: timing } = options;
  const counted = (count: number): void => metrics.problems("hindrances", count);
  const hindrances = new Hindrances({ log, problems: () => source.snapshot().problems, counted });
  const about =
    (work: Work) =>
    (message: string | undefined): void =>
      hindrances.note(work, message);
  const act = async (term: AbortSignal): Promise<void> => {
    const parts = {
      source,
      log,
      decided: (decision: Decision) => metrics.updating(decision),
      writeFailed: () => metrics.writeFailed(),
      judged: (verdict: ConfigurationVerdict) => metrics.judged(verdict),
      converged: (convergence: Convergence) => {
        metrics.converged(convergence);
        hindrances.note("statuses", lastingFailure(convergence));
      },
      told: about("events"),
    };
    if (await readyOrAborted(source.ready, term))
      await control({ ...parts, ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }) }, term);
  };
  const onChange = (leading: boolean): void => {
    metrics.leading(leading);
    if (!leading) for (const work of ["statuses", "events"] as const) hindrances.note(work, undefined);
    if (leading) hindrances.writeAnew();
  };
  onChange(kubernetes === undefined);
  if (kubernetes === undefined) return act(signal);
  const onServing = (expires: Date): void => {
    progress.webhookServes = true;
    metrics.webhookExpires(expires);
  };
  const serving =
    options.webhook === undefined
      ? undefined
      : serveWebhook(
          options.webhook,
          { ...kubernetes, source, log, onServing, onProblem: about("the webhook's certificates") },
          signal,
        );
  const { membershipSecret: name } = options;
  const keeping =
    name === undefined
      ? undefined
      : keepMembershipSecret({ ...kubernetes, name, log, onProblem: about("the agents' key") }, signal);
  const onProblem = about("the Lease");
  const leading = actWhileLeading({ ...kubernetes, identity, timing, log, act, onChange, onProblem }, signal);
  const reporting = hindrances.report(kubernetes.connection, kubernetes.namespace, signal);
  await Promise.all([leading, serving, keeping, reporting]);
}

/** What somebody has changed meanwhile is decided about anew, and well the next time. */
function lastingFailure(convergence: Convergence): string | undefined {
  if (convergence.state !== "failed" || convergence.attempts < 2 || CONFLICT.test(convergence.message))
    return undefined;
  return convergence.message;
}

const CONFLICT = /\(409 /;

/** Every replica serves it. Loaded only where it is wanted: what makes certificates needs 25 MB. */
async function serveWebhook(
  { names, ...webhook }: NonNullable<ControllerOptions["webhook"]>,
  parts: Omit<WebhookOptions, keyof NonNullable<ControllerOptions["webhook"]>>,
  signal: AbortSignal,
): Promise<void> {
  const { runWebhook } = await import("./admission/webhook.ts");
  const own = `fairlead-webhook-service.${parts.namespace}.svc`;
  await runWebhook({ ...parts, ...webhook, names: names.length === 0 ? [own] : names }, signal);
}

/** False: aborted first. */
function readyOrAborted(ready: Promise<void>, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(false), { once: true });
    void ready.then(() => resolve(!signal.aborted));
  });
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

/**
 * What `fairlead lab up` tells in the foreground: the topology, each step, the Services with their addresses, who answers a client's
 * requests, and a failover with the gap that the client saw. It reads only what a user could look at too.
 */
import { drawScene } from "./draw.ts";
import { applyFault } from "./fault.ts";
import type { Lab } from "./lab.ts";
import {
  agentNodes,
  neighborOf,
  readAnnouncers,
  waitForAddresses,
  waitForAgents,
  waitForAnnouncers,
} from "./observe.ts";
import type { ServiceAddresses } from "./observe.ts";
import type { RequestPlan, RequestResult } from "./requester.ts";
import { answersPerPod, gapAround, startRequests } from "./requests.ts";
import { renderRows } from "./rows.ts";
import { waitFor } from "./wait.ts";
import type { Waiting } from "./wait.ts";

/** Where the story goes; `title` lines stand out on a terminal. */
export interface Teller {
  title(text: string): void;
  line(text?: string): void;
}

interface Stage {
  readonly tell: Teller;
  readonly lab: Lab;
  /** Ends the story early. */
  readonly signal: AbortSignal;
}

/** Seconds of a wait are told from the first one on, so that nobody thinks it hangs. */
function telling({ tell, signal }: Stage, what: string): Waiting {
  return { signal, stillWaiting: (seconds) => tell.line(`  … still waiting for ${what} (${seconds} s)`) };
}

export function tellTopology(tell: Teller, lab: Pick<Lab, "name" | "scene">): void {
  tell.title(`Lab ${lab.name}: ${lab.scene.description}`);
  tell.line();
  for (const line of drawScene(lab.scene)) tell.line(`  ${line}`);
  tell.line();
}

/** Waits until the lab works, then shows it. A lab without agents has nothing more to tell. */
export async function tellStory(tell: Teller, lab: Lab, signal: AbortSignal): Promise<void> {
  const stage = { tell, lab, signal };
  if (!lab.record.agents || !lab.scene.hosts.some((host) => host.agent)) return;
  tell.line("Waiting until every agent has its tables in the kernel");
  await waitForAgents(lab, telling(stage, "the agents"));
  tell.line("Waiting until the controller has given every Service its address");
  const services = await waitForAddresses(lab, telling(stage, "addresses"));
  tell.line();
  tellServices(tell, services);
  const client = lab.scene.hosts.find((host) => host.role === "client")?.name;
  const service = services.find((each) => each.ports.some((port) => port.protocol === "TCP"));
  if (client === undefined || service === undefined) return;
  const target = targetOf(service);
  await tellRequests(stage, client, target);
  const overIPv6 = services.flatMap(targetsOverIPv6)[0];
  if (overIPv6 !== undefined) await tellRequests(stage, client, overIPv6);
  await tellFailover(stage, client, target);
}

interface Target {
  readonly service: string;
  readonly address: string;
  readonly port: number;
}

function targetOf(service: ServiceAddresses): Target {
  const port = service.ports.find((each) => each.protocol === "TCP")?.port ?? 0;
  return { service: `${service.namespace}/${service.name}`, address: service.addresses[0] ?? "", port };
}

function targetsOverIPv6(service: ServiceAddresses): readonly Target[] {
  const target = targetOf(service);
  if (target.port === 0) return [];
  return service.addresses.filter((each) => each.includes(":")).map((address) => ({ ...target, address }));
}

function tellServices(tell: Teller, services: readonly ServiceAddresses[]): void {
  tell.title("Services");
  const rows = services.map((each) => [
    `${each.namespace}/${each.name}`,
    each.addresses.join(" "),
    each.ports.map((port) => `${port.port}/${port.protocol}`).join(" "),
    each.externalTrafficPolicy,
  ]);
  for (const line of renderRows(["SERVICE", "ADDRESSES", "PORTS", "TRAFFIC POLICY"], rows)) tell.line(`  ${line}`);
  tell.line();
}

async function tellRequests(stage: Stage, client: string, target: Target): Promise<void> {
  const { tell, lab } = stage;
  tell.title(`${client} asks ${target.service} at ${socketText(target)}`);
  const plan: RequestPlan = { protocol: "HTTP", address: target.address, port: target.port };
  await waitFor("the first answer", async () => (await startRequests(lab, client, plan).done).find((each) => each.ok), {
    milliseconds: 15_000,
    ...telling(stage, "the first answer"),
  });
  const results = await startRequests(lab, client, { ...plan, count: 8 }).done;
  for (const line of renderRows(["POD", "ON NODE", "POD'S ADDRESS", "CLIENT IT SAW", "TOOK"], results.map(requestRow)))
    tell.line(`  ${line}`);
  const answers = answersPerPod(await startRequests(lab, client, { ...plan, count: 300, concurrency: 10 }).done);
  const spread = [...answers].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([pod, count]) => `${pod} ${count}`);
  tell.line(`  300 more, by pod: ${spread.join("  ")}`);
  const announcer = await neighborOf(lab, client, target.address);
  tell.line(
    `  ${announcer ?? "Nobody"} answers for the address. Its own pods see the client; to the others it forwards, and they see it.`,
  );
  tell.line();
}

function socketText({ address, port }: Target): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function requestRow(result: RequestResult): readonly string[] {
  const took = `${(result.doneAt - result.sentAt).toFixed(1)} ms`;
  if (!result.ok) return [`no answer: ${result.error ?? ""}`, "", "", "", took];
  return [result.pod_name ?? "", result.host_name ?? "", result.pod_ip ?? "", result.client_ip ?? "", took];
}

/** Switches off the node that answers for the address, under requests, and says how long nobody did. */
async function tellFailover(stage: Stage, client: string, target: Target): Promise<void> {
  const { tell, lab } = stage;
  const announcer = await neighborOf(lab, client, target.address);
  const announced = [...(await readAnnouncers(lab)).keys()];
  if (announcer === undefined || agentNodes(lab).length < 2) return;
  tell.title(`Failover: ${announcer} answers for ${target.address}; it loses its power`);
  const requests = startRequests(lab, client, {
    protocol: "HTTP",
    address: target.address,
    port: target.port,
    count: 0,
    everyMilliseconds: 10,
    timeoutMilliseconds: 500,
  });
  try {
    await waitFor("answers before the fault", () =>
      requests.results.filter((each) => each.ok).length >= 50 ? true : undefined,
    );
    const moment = Date.now();
    await applyFault(lab, announcer, "node-down");
    const settled = await waitFor(
      "answers after the fault",
      () => {
        const gap = gapAround(requests.results, moment);
        return gap !== undefined && gap.after.length >= 100 ? gap : undefined;
      },
      { milliseconds: 20_000, ...telling(stage, "answers from another node") },
    );
    const successor = await neighborOf(lab, client, target.address);
    const failed = settled.after.slice(0, 100).filter((each) => !each.ok).length;
    tell.line(
      `  ${successor ?? "Another node"} took over. Without an answer: ${settled.milliseconds.toFixed(0)} ms, ${settled.lost} requests.`,
    );
    tell.line(`  Of the next 100 requests ${failed === 0 ? "none" : failed} failed.`);
  } finally {
    await requests.stop();
  }
  tell.line(`  ${announcer} starts up again`);
  await applyFault(lab, announcer, "node-up");
  await waitForAgents(lab, telling(stage, announcer));
  await waitForAnnouncers(lab, announced, telling(stage, "the announcements"));
  tell.line();
}

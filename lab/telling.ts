/** What every story tells alike: waits, Services, and what became of a client's requests. */
import type { Lab } from "./lab.ts";
import type { ServiceAddresses } from "./observe.ts";
import type { RequestPlan, RequestResult } from "./requester.ts";
import { answersPerPod, startRequests } from "./requests.ts";
import { renderRows } from "./rows.ts";
import { waitFor } from "./wait.ts";
import type { Waiting } from "./wait.ts";

/** Where the story goes; `title` lines stand out on a terminal. */
export interface Teller {
  title(text: string): void;
  line(text?: string): void;
}

export interface Stage {
  readonly tell: Teller;
  readonly lab: Lab;
  /** Ends the story early. */
  readonly signal: AbortSignal;
}

/** Seconds of a wait are told from the first one on, so that nobody thinks it hangs. */
export function telling({ tell, signal }: Stage, what: string): Waiting {
  return { signal, stillWaiting: (seconds) => tell.line(`  … still waiting for ${what} (${seconds} s)`) };
}

export interface Target {
  readonly service: string;
  readonly address: string;
  readonly port: number;
}

export function targetOf(service: ServiceAddresses): Target {
  const port = service.ports.find((each) => each.protocol === "TCP")?.port ?? 0;
  return { service: `${service.namespace}/${service.name}`, address: service.addresses[0] ?? "", port };
}

export function targetsOverIPv6(service: ServiceAddresses): readonly Target[] {
  const target = targetOf(service);
  if (target.port === 0) return [];
  return service.addresses.filter((each) => each.includes(":")).map((address) => ({ ...target, address }));
}

export function tellServices(tell: Teller, services: readonly ServiceAddresses[]): void {
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

/** Eight requests one by one, then three hundred by pod. */
export async function tellRequests(stage: Stage, client: string, target: Target): Promise<void> {
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
}

function socketText({ address, port }: Target): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function requestRow(result: RequestResult): readonly string[] {
  const took = `${(result.doneAt - result.sentAt).toFixed(1)} ms`;
  if (!result.ok) return [`no answer: ${result.error ?? ""}`, "", "", "", took];
  return [result.pod_name ?? "", result.host_name ?? "", result.pod_ip ?? "", result.client_ip ?? "", took];
}

/** What the tests of selection find out from outside: whom the client hears, and what a node says about itself. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { readAnnouncers } from "../../../lab/observe.ts";
import { waitFor } from "../../../lab/wait.ts";
import { fairlead } from "../../../src/cli/agent.fixture.ts";
import type { ExplainDocument } from "../../../src/observe/status.ts";
import type { ClusterEvent } from "../access.ts";
import type { TestLab } from "../harness.ts";
import { ADDRESS, SERVICE } from "./selection-objects.ts";

/** Who announces {@link ADDRESS} when nothing else decides, who does without that node, and one that is not the first, of three the last. */
export function cast({ nodes }: TestLab): {
  readonly natural: string;
  readonly second: string;
  readonly other: string;
} {
  const rank = (node: string): string => createHash("sha256").update(`${node}#${ADDRESS}`).digest("hex");
  const order = nodes.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
  return { natural: order[0] ?? "", second: order[1] ?? "", other: order.at(-1) ?? "" };
}

/** The client hears this node on the first segment, and no other node has the address in its kernel, once all have read the change. */
export async function announcedBy(lab: TestLab, node: string): Promise<void> {
  let heard: readonly string[] | undefined;
  let announcing: readonly string[] = [];
  await waitFor(
    `${node} alone to answer for ${ADDRESS}`,
    async () => {
      announcing = (await readAnnouncers(lab.lab)).get(ADDRESS) ?? [];
      heard = await answererOn(lab, "eth0");
      return heard?.join() === `${node},eth0` && announcing.join() === node ? true : undefined;
    },
    { explain: () => `${heard?.join(" on ") ?? "nobody"} answers, ${announcing.join(" and ")} would` },
  );
}

export async function nobodyAnswers(lab: TestLab): Promise<void> {
  await waitFor(`nobody to answer for ${ADDRESS}`, async () =>
    (await answererOn(lab, "eth0")) === undefined ? true : undefined,
  );
  assert.equal(await answererOn(lab, "eth0"), undefined, "and nobody does so afterwards");
}

interface Neighbor {
  readonly lladdr?: string;
}

/** Host and device whose MAC the client learns when it asks anew on this device; undefined: a third of a second passes in silence. */
export async function answererOn(
  lab: TestLab,
  device: string,
): Promise<readonly [host: string, device: string] | undefined> {
  const ask = `ip route replace ${ADDRESS}/32 dev ${device}; ip neigh flush to ${ADDRESS}; echo >/dev/udp/${ADDRESS}/9`;
  await lab.exec(lab.client, "bash", "-c", ask);
  for (let look = 0; look < 10; look += 1) {
    const { stdout } = await lab.exec(lab.client, "ip", "-j", "neigh", "show", "to", ADDRESS, "dev", device);
    const [neighbor] = JSON.parse(stdout === "" ? "[]" : stdout) as readonly Neighbor[];
    const end = lab.lab.plan.cables.flatMap(({ near, far }) => [near, far]).find(({ mac }) => mac === neighbor?.lladdr);
    if (end !== undefined) return [end.member, end.device];
    await sleep(30);
  }
  return undefined;
}

/** Exactly this node has a ServiceL2Status of the Service; undefined: none has. */
export async function statusSays(
  lab: TestLab,
  node: string | undefined,
  interfaces: readonly string[],
  name = SERVICE,
): Promise<void> {
  const wanted = node === undefined ? "" : `${node} ${interfaces.join()}`;
  let found = "";
  await waitFor(
    `a ServiceL2Status ${wanted}`,
    async () => {
      const statuses = await lab.cluster.l2Statuses(name);
      found = statuses.map((status) => `${status.node} ${status.interfaces.join()}`).join("; ");
      return found === wanted ? true : undefined;
    },
    { explain: () => `found: ${found}` },
  );
}

/** The node's about the Service. */
export async function readEvents(lab: TestLab, node: string): Promise<readonly ClusterEvent[]> {
  return (await lab.cluster.events(node)).filter(({ about }) => about === SERVICE);
}

/** One a line. */
export async function eventsOf(lab: TestLab, node: string): Promise<string> {
  const events = await readEvents(lab, node);
  return events.map(({ reason, message, count }) => `${reason} ${message} ×${count}`).join("\n");
}

export async function metricsOf(lab: TestLab, node: string): Promise<string> {
  const socket = lab.lab.paths.socket(node);
  return (await lab.exec(node, "curl", "-s", "--unix-socket", socket, "http://fairlead/metrics")).stdout;
}

export async function explain(
  lab: TestLab,
  node: string,
  wanted = `svc/${SERVICE}`,
): Promise<{ readonly code: number; readonly document: ExplainDocument }> {
  const { code, stdout, stderr } = await fairlead(`explain ${wanted} -o json --socket ${lab.lab.paths.socket(node)}`, {
    answerTimeoutMilliseconds: 5000,
  });
  assert.equal(stderr, "");
  return { code, document: JSON.parse(stdout) as ExplainDocument };
}

export function firstFailure({ steps }: ExplainDocument): ExplainDocument["steps"][number] | undefined {
  return steps.find(({ result }) => result === "failed");
}

export async function failsAt(lab: TestLab, step: string): Promise<void> {
  await waitFor(`explain to fail at ${step}`, async () => {
    const { code, document } = await explain(lab, cast(lab).natural);
    return code === 1 && firstFailure(document)?.step === step ? true : undefined;
  });
}

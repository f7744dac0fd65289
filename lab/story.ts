/**
 * What `fairlead lab up` tells in the foreground: the topology, each step, the Services with their addresses, who answers a client's
 * requests, and a failover with the gap that the client saw. It reads only what a user could look at too.
 */
import { tellBgpStory } from "./bgp-story.ts";
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
import { gapAround, startRequests } from "./requests.ts";
import { routersOf } from "./routes.ts";
import { targetOf, targetsOverIPv6, telling, tellRequests, tellServices } from "./telling.ts";
import type { Stage, Target, Teller } from "./telling.ts";
import { waitFor } from "./wait.ts";

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
  if (routersOf(lab).length > 0) {
    await tellBgpStory(stage, services, client);
    return;
  }
  if (client === undefined || service === undefined) return;
  const target = targetOf(service);
  await tellRequests(stage, client, target);
  await tellAnnouncer(stage, client, target);
  const overIPv6 = services.flatMap(targetsOverIPv6)[0];
  if (overIPv6 !== undefined) {
    await tellRequests(stage, client, overIPv6);
    await tellAnnouncer(stage, client, overIPv6);
  }
  await tellFailover(stage, client, target);
}

async function tellAnnouncer({ tell, lab }: Stage, client: string, target: Target): Promise<void> {
  const announcer = await neighborOf(lab, client, target.address);
  tell.line(
    `  ${announcer ?? "Nobody"} answers for the address. Its own pods see the client; to the others it forwards, and they see it.`,
  );
  tell.line();
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

/**
 * The story of a lab with routers: the nodes' sessions, what the router's kernel has learned, where a client's requests end up, and a node
 * that goes - with its power where the peers notice within seconds, else by its agent's own decision.
 */
import { applyFault } from "./fault.ts";
import { agentNodes, readAgent, waitForAgents } from "./observe.ts";
import type { ServiceAddresses } from "./observe.ts";
import { startRequests } from "./requests.ts";
import type { RequestResult } from "./requester.ts";
import { nextHopsTo, readRoutes, routersOf, waitForNextHops } from "./routes.ts";
import { renderRows } from "./rows.ts";
import { targetOf, targetsOverIPv6, telling, tellRequests } from "./telling.ts";
import type { Stage, Target } from "./telling.ts";
import { waitFor } from "./wait.ts";

/** Nobody wants to wait longer than this for a hold time to pass. */
const PATIENCE_SECONDS = 10;
/** Between two requests while a node goes. */
const PACE_MILLISECONDS = 5;

export async function tellBgpStory(
  stage: Stage,
  services: readonly ServiceAddresses[],
  client: string | undefined,
): Promise<void> {
  const { tell, lab } = stage;
  const [router] = routersOf(lab);
  if (router === undefined) return;
  tell.line(`Waiting until ${router} has a route to every node`);
  const addresses = services.flatMap((each) => each.addresses);
  await waitForNextHops(lab, router, addresses, agentNodes(lab), telling(stage, `${router}'s routes`));
  tell.line();
  await tellSessions(stage);
  await tellRoutes(stage, router);
  const service = services.find((each) => each.ports.some((port) => port.protocol === "TCP"));
  if (client === undefined || service === undefined) return;
  const target = targetOf(service);
  for (const each of [target, ...targetsOverIPv6(service)].slice(0, 2)) {
    await tellRequests(stage, client, each);
    tell.line();
  }
  await tellDeparture(stage, client, router, target);
}

async function tellSessions({ tell, lab }: Stage): Promise<void> {
  tell.title("Sessions, as the nodes' agents see them");
  const rows = await Promise.all(
    agentNodes(lab).map(async (node) =>
      ((await readAgent(lab, node, "/v1/bgp/peers")) ?? []).map((peer) => [
        node,
        peer.name,
        peer.peer,
        String(peer.peerAsn),
        peer.state,
        peer.holdTimeSeconds === undefined ? "" : `${peer.holdTimeSeconds} s`,
        String(peer.announced.IPv4 + peer.announced.IPv6),
      ]),
    ),
  );
  const head = ["NODE", "PEER", "ADDRESS", "AS", "STATE", "HOLD TIME", "ANNOUNCED"];
  for (const line of renderRows(head, rows.flat())) tell.line(`  ${line}`);
  tell.line();
}

async function tellRoutes({ tell, lab }: Stage, router: string): Promise<void> {
  tell.title(`What BGP has put into ${router}'s kernel`);
  const rows = (await readRoutes(lab, router)).flatMap(({ prefix, nextHops }) =>
    nextHops.map((hop, index) => [
      index === 0 ? prefix : "",
      `${hop.gateway} dev ${hop.device} weight ${hop.weight}`,
      hop.host ?? "",
    ]),
  );
  for (const line of renderRows(["PREFIX", "NEXT HOP", "NODE"], rows)) tell.line(`  ${line}`);
  tell.line();
}

/** A node goes under requests; what the client lost, and how long the router went on sending there. */
async function tellDeparture(stage: Stage, client: string, router: string, target: Target): Promise<void> {
  const { tell, lab } = stage;
  const node = agentNodes(lab).at(-1);
  const others = agentNodes(lab).slice(0, -1);
  if (node === undefined || others.length === 0) return;
  const peers = (await readAgent(lab, node, "/v1/bgp/peers")) ?? [];
  const watched = ((await readAgent(lab, node, "/v1/bgp/bfd")) ?? []).filter(({ state }) => state === "up");
  const isNoticedSoon = peers.every(
    ({ name, holdTimeSeconds = 0 }) =>
      watched.some(({ peer }) => peer === name) || (holdTimeSeconds > 0 && holdTimeSeconds <= PATIENCE_SECONDS),
  );
  tell.title(
    isNoticedSoon
      ? `${node} loses its power`
      : `${node}'s agent is stopped: its routes become the last resort, then they go (a lost power would take the hold time)`,
  );
  const requests = startRequests(lab, client, {
    protocol: "HTTP",
    address: target.address,
    port: target.port,
    count: 0,
    everyMilliseconds: PACE_MILLISECONDS,
    timeoutMilliseconds: 500,
  });
  try {
    await waitFor("answers before", () => (requests.results.filter((each) => each.ok).length >= 50 ? true : undefined));
    const moment = Date.now();
    await Promise.all([
      applyFault(lab, node, isNoticedSoon ? "node-down" : "agent-stop"),
      waitForNextHops(lab, router, [target.address], others, { milliseconds: 30_000, ...telling(stage, "the route") }),
    ]);
    const milliseconds = Date.now() - moment;
    const before = requests.results.length;
    await waitFor("answers after", () => (requests.results.length >= before + 200 ? true : undefined));
    tellLoss(stage, requests.results, moment, milliseconds, router, node);
  } finally {
    await requests.stop();
  }
  tell.line(`  ${node} starts up again`);
  await applyFault(lab, node, isNoticedSoon ? "node-up" : "agent-start");
  await waitForAgents(lab, telling(stage, node));
  await waitForNextHops(lab, router, [target.address], agentNodes(lab), telling(stage, "the route"));
  tell.line(`  ${router} sends to ${(await nextHopsTo(lab, router, target.address)).join(" and ")} again.`);
  tell.line();
}

function tellLoss(
  { tell }: Stage,
  results: readonly RequestResult[],
  moment: number,
  routeMilliseconds: number,
  router: string,
  node: string,
): void {
  const after = results.filter((each) => each.sentAt >= moment);
  const failed = after.filter((each) => !each.ok);
  const last = failed.reduce((latest, each) => Math.max(latest, each.sentAt), moment);
  tell.line(`  ${router} sent to ${node} for ${routeMilliseconds} ms more.`);
  tell.line(
    failed.length === 0
      ? `  None of ${after.length} requests failed.`
      : `  ${failed.length} of ${after.length} requests failed, the last ${(last - moment).toFixed(0)} ms after the moment.`,
  );
}

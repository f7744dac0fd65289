/** The lab at this moment as lines: every node with what its agent says, every Service with who announces it and where a client sends. */
import type { StatusDocument } from "../src/observe/status.ts";
import type { Lab } from "./lab.ts";
import { agentNodes, neighborOf, readAgent, readAnnouncers, readStatus } from "./observe.ts";
import type { LabStatus } from "./observe.ts";
import { nextHopsTo, routersOf } from "./routes.ts";
import { renderRows } from "./rows.ts";

export async function liveTable(lab: Lab): Promise<readonly string[]> {
  const status = await readStatus(lab);
  return [...(await nodeLines(lab, status)), "", ...(await serviceLines(lab, status))];
}

/** Columns of counters: packets by what became of them. */
const CARRIED = ["forwarded", "delivered", "delivered_by_stack", "replied"] as const;

async function nodeLines(lab: Lab, status: LabStatus): Promise<readonly string[]> {
  const rows = await Promise.all(
    agentNodes(lab).map(async (node) => {
      const state = status.hosts.find((each) => each.name === node)?.state ?? "down";
      const agent = await readAgent(lab, node, "/v1/status");
      return [node, state, ...(agent === undefined ? ["no answer"] : agentCells(agent))];
    }),
  );
  const head = ["NODE", "STATE", "AGENT", "ADDRESSES", "FORWARDED", "DELIVERED", "BY STACK", "REPLIED", "DROPPED"];
  return renderRows(head, rows);
}

function agentCells({ ready, counts, verdicts }: StatusDocument): readonly string[] {
  const drops = Object.entries(verdicts).reduce(
    (sum, [name, count]) => sum + (name.startsWith("drop_") ? count : 0),
    0,
  );
  const numbers = [counts.announced, ...CARRIED.map((name) => verdicts[name] ?? 0), drops];
  return [ready ? "ready" : "starting", ...numbers.map(String)];
}

async function serviceLines(lab: Lab, status: LabStatus): Promise<readonly string[]> {
  const [router] = routersOf(lab);
  if (router !== undefined) return routedLines(lab, status, router);
  const client = lab.scene.hosts.find((host) => host.role === "client")?.name;
  const announcers = await readAnnouncers(lab);
  const rows = status.services.flatMap((service) =>
    service.addresses.map(async (address) => [
      `${service.namespace}/${service.name}`,
      address,
      service.ports.map((port) => `${port.port}/${port.protocol}`).join(" "),
      announcers.get(address)?.join(" ") ?? "nobody",
      (client === undefined ? undefined : await neighborOf(lab, client, address)) ?? "-",
    ]),
  );
  const head = ["SERVICE", "ADDRESS", "PORTS", "ANNOUNCED BY", `${(client ?? "client").toUpperCase()} SENDS TO`];
  return renderRows(head, await Promise.all(rows));
}

async function routedLines(lab: Lab, status: LabStatus, router: string): Promise<readonly string[]> {
  const rows = status.services.flatMap((service) =>
    service.addresses.map(async (address) => [
      `${service.namespace}/${service.name}`,
      address,
      service.ports.map((port) => `${port.port}/${port.protocol}`).join(" "),
      (await nextHopsTo(lab, router, address)).join(" ") || "nobody",
    ]),
  );
  return renderRows(["SERVICE", "ADDRESS", "PORTS", `${router.toUpperCase()} SENDS TO`], await Promise.all(rows));
}

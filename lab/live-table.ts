/** The lab at this moment as lines: every node with what its agent says, every Service with who really answers for it. */
import type { Lab } from "./lab.ts";
import { neighborOf, readAgent, readStatus } from "./observe.ts";
import type { LabStatus } from "./observe.ts";
import { renderRows } from "./rows.ts";

export async function liveTable(lab: Lab): Promise<readonly string[]> {
  const status = await readStatus(lab);
  return [...(await nodeRows(lab, status)), "", ...(await serviceRows(lab, status))];
}

async function nodeRows(lab: Lab, status: LabStatus): Promise<readonly string[]> {
  const agents = lab.scene.hosts.filter((host) => host.agent);
  const rows = await Promise.all(
    agents.map(async (host) => {
      const state = status.hosts.find((each) => each.name === host.name)?.state ?? "down";
      const agent = await readAgent(lab, host.name, "/v1/status");
      if (agent === undefined) return [host.name, state, "no answer"];
      const verdicts = agent.verdicts;
      const carried = ["forwarded", "delivered", "deliveredByStack", "replied"].map((name) =>
        String(verdicts[name] ?? verdicts[name.toUpperCase()] ?? 0),
      );
      const drops = Object.entries(verdicts).reduce(
        (sum, [name, count]) => (/^drop/i.test(name) ? sum + count : sum),
        0,
      );
      return [
        host.name,
        state,
        agent.ready ? "ready" : "starting",
        String(agent.counts.announced),
        ...carried,
        String(drops),
      ];
    }),
  );
  return renderRows(
    ["NODE", "STATE", "AGENT", "ADDRESSES", "FORWARDED", "DELIVERED", "BY STACK", "REPLIED", "DROPPED"],
    rows,
  );
}

async function serviceRows(lab: Lab, status: LabStatus): Promise<readonly string[]> {
  const client = lab.scene.hosts.find((host) => host.role === "client")?.name;
  const rows = await Promise.all(
    status.services.flatMap((service) =>
      service.addresses.map(async (address) => {
        const holder = client === undefined ? undefined : await neighborOf(lab, client, address);
        const ports = service.ports.map((port) => `${port.port}/${port.protocol}`).join(" ");
        return [`${service.namespace}/${service.name}`, address, ports, holder ?? "not asked yet"];
      }),
    ),
  );
  return renderRows(["SERVICE", "ADDRESS", "PORTS", `ANSWERED FOR BY (as ${client ?? "nobody"} sees it)`], rows);
}

/** `fairlead services`: every Service with its addresses, who answers for them, and what is wrong with it. */
import type { Command } from "commander";
import type { ServiceRow } from "../observe/status.ts";
import { listingCommand } from "./listing.ts";
import type { Column, Paint } from "./table.ts";
import type { World } from "./world.ts";

export function servicesCommand(world: World): Command {
  return listingCommand(world, {
    name: "services",
    example: "fairlead services\nfairlead services -o json | jq '.[] | select(.problem)'",
    path: "/v1/services",
    columns,
    whenEmpty: "No Service of type LoadBalancer",
  });
}

const columns: readonly Column<ServiceRow>[] = [
  { title: "SERVICE", cell: (row) => `${row.namespace}/${row.name}` },
  { title: "ADDRESSES", cell: (row) => row.addresses.join("\n") },
  { title: "PORTS", cell: (row) => row.ports.map(portText).join("\n") },
  { title: "POLICY", cell: (row) => row.externalTrafficPolicy },
  { title: "ALGORITHM", cell: (row) => row.algorithm },
  { title: "BACKENDS", cell: (row, paint) => backendsText(row.backends, paint) },
  { title: "ANNOUNCER", cell: announcerText },
  { title: "PROBLEM", cell: problemText },
];

function portText(port: ServiceRow["ports"][number]): string {
  const target = port.targetPort === undefined || port.targetPort === String(port.port) ? "" : ` → ${port.targetPort}`;
  return `${port.port}/${port.protocol}${target}`;
}

function backendsText(backends: ServiceRow["backends"], paint: Paint): string {
  if (backends.active === 0 && backends.terminating === 0) return paint("red", `none${others(backends)}`);
  return `${backends.active} (${backends.local} here)${others(backends)}`;
}

function others(backends: ServiceRow["backends"]): string {
  const parts: string[] = [];
  if (backends.notReady > 0) parts.push(`${backends.notReady} not ready`);
  if (backends.terminating > 0) parts.push(`${backends.terminating} terminating`);
  return parts.map((part) => `, ${part}`).join("");
}

/** Why it has no address, or not the one it asked for; then what is wrong with it besides. */
function problemText({ addressReason, problem }: ServiceRow, paint: Paint): string {
  return [addressReason, problem].flatMap((text) => (text === undefined ? [] : paint("red", text))).join("\n");
}

function announcerText(row: ServiceRow, paint: Paint): string {
  const { bgpPeers = [], bgpReason } = row;
  const lines = [...announcersOf(row), ...(bgpPeers.length === 0 ? [] : [`here, BGP: ${bgpPeers.join(", ")}`])];
  if (lines.length > 0) return lines.join("\n");
  // Where both protocols are used, either may have its own reason for saying nothing.
  const reasons = [...new Set([row.announceReason, bgpReason])].filter((each) => each !== undefined);
  return reasons.length === 0 ? "" : paint("yellow", `nobody: ${reasons.join(", ")}`);
}

function announcersOf({ announcer, announcers }: ServiceRow): readonly string[] {
  if (announcers !== undefined) return announcers.map(({ address, node = "nobody" }) => `${address}: ${node}`);
  return announcer === undefined ? [] : [announcer];
}

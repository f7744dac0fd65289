/** `fairlead services`: every Service with its addresses, who answers for them, and what is wrong with it. */
import type { Command } from "commander";
import type { ServiceRow } from "../observe/status.ts";
import { listingCommand, rowsOf } from "./listing.ts";
import { servicesTogether, type ClusterServiceRow } from "./services-together.ts";
import type { Column, Paint } from "./table.ts";
import type { World } from "./world.ts";

export function servicesCommand(world: World): Command {
  return listingCommand(world, {
    name: "services",
    example: "fairlead services\nfairlead services -o json | jq '.[] | select(.problem)'",
    path: "/v1/services",
    columns,
    together: (answers) => rowsOf(servicesTogether(answers), clusterColumns),
    whenEmpty: "No Service of type LoadBalancer",
  });
}

/** What a node and a cluster have in common. */
type AnyRow = Omit<ServiceRow, "bgpPeers" | "bgpReason">;

const firstColumns: readonly Column<AnyRow>[] = [
  { title: "SERVICE", cell: (row) => `${row.namespace}/${row.name}` },
  { title: "ADDRESSES", cell: (row) => row.addresses.join("\n") },
  { title: "PORTS", cell: (row) => portLines(row.ports).join("\n") },
  { title: "POLICY", cell: (row) => row.externalTrafficPolicy },
  { title: "ALGORITHM", cell: (row) => row.algorithm },
];

const columns: readonly Column<ServiceRow>[] = [
  ...firstColumns,
  {
    title: "BACKENDS",
    cell: ({ backends }, paint) => backendsText(backends, `${backends.active} (${backends.local} here)`, paint),
  },
  { title: "ANNOUNCER", cell: announcerText },
  { title: "PROBLEM", cell: problemText },
];

const clusterColumns: readonly Column<ClusterServiceRow>[] = [
  ...firstColumns,
  { title: "BACKENDS", cell: ({ backends }, paint) => backendsText(backends, String(backends.active), paint) },
  { title: "ANNOUNCER", cell: clusterAnnouncerText },
  {
    title: "PROBLEM",
    cell: (row, paint) =>
      [
        ...(problemText(row, paint) === "" ? [] : [problemText(row, paint)]),
        ...row.differently.map(({ node, sees }) => paint("yellow", `${node} sees: ${sees}`)),
      ].join("\n"),
  },
];

/** As many as do not push the next Service off the screen; `-o json` has all. */
const PORTS_MAX = 8;

function portLines(ports: ServiceRow["ports"]): readonly string[] {
  if (ports.length <= PORTS_MAX) return ports.map(portText);
  return [...ports.slice(0, PORTS_MAX - 1).map(portText), `and ${ports.length - PORTS_MAX + 1} more`];
}

function portText(port: ServiceRow["ports"][number]): string {
  const target = port.targetPort === undefined || port.targetPort === String(port.port) ? "" : ` → ${port.targetPort}`;
  return `${port.port}/${port.protocol}${target}`;
}

function backendsText(backends: ServiceRow["backends"], active: string, paint: Paint): string {
  if (backends.active === 0 && backends.terminating === 0) return paint("red", `none${others(backends)}`);
  return `${active}${others(backends)}`;
}

function others(backends: ServiceRow["backends"]): string {
  const parts: string[] = [];
  if (backends.notReady > 0) parts.push(`${backends.notReady} not ready`);
  if (backends.terminating > 0) parts.push(`${backends.terminating} terminating`);
  return parts.map((part) => `, ${part}`).join("");
}

/** Why it has no address, or not the one it asked for; then what is wrong with it besides. */
function problemText({ addressReason, problem }: AnyRow, paint: Paint): string {
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

function clusterAnnouncerText(row: ClusterServiceRow, paint: Paint): string {
  const lines = [...announcersOf(row), ...row.bgp.map(({ node, peers }) => `${node}, BGP: ${peers.join(", ")}`)];
  if (lines.length > 0) return lines.join("\n");
  return row.announceReason === undefined ? "" : paint("yellow", `nobody: ${row.announceReason}`);
}

function announcersOf({ announcer, announcers }: AnyRow): readonly string[] {
  if (announcers !== undefined) return announcers.map(({ address, node = "nobody" }) => `${address}: ${node}`);
  return announcer === undefined ? [] : [announcer];
}

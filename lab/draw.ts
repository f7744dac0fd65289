/** A scene as a drawing in text: each segment and link with what hangs on it, pods below their node. Pure. */
import { formatAddress } from "../src/net/address.ts";
import { podsOn } from "./scene.ts";
import type { Host, Scene } from "./scene.ts";

/** Lines without trailing spaces. */
export function drawScene(scene: Scene): readonly string[] {
  const drawn = new Set<string>();
  const networks = [
    ...scene.segments.map((name) => [name, "segment"] as const),
    ...scene.links.map((name) => [name, "link"] as const),
  ];
  return networks.flatMap(([name, kind], index) => [
    ...(index === 0 ? [] : [""]),
    `${name} (${kind})`,
    ...drawMembers(scene, name, drawn),
  ]);
}

/** A host on two networks appears on both; its pods only where it appears first. */
function drawMembers(scene: Scene, network: string, drawn: Set<string>): readonly string[] {
  const members = scene.hosts.flatMap((host) =>
    host.interfaces.filter((each) => each.on === network).map((each) => ({ host, own: each })),
  );
  const columns = members.map(({ host, own }) => [host.name, own.name, ...own.addresses.map((each) => each.text)]);
  const widths = columnWidths(columns);
  return members.flatMap(({ host }, index) => {
    const last = index === members.length - 1;
    const line = `${last ? "└" : "├"}── ${padded(columns[index] ?? [], widths)}  ${roleOf(host)}`;
    const pods = drawn.has(host.name) ? [] : drawPods(scene, host);
    drawn.add(host.name);
    return [line.trimEnd(), ...pods.map((pod) => `${last ? " " : "│"}   ${pod}`)];
  });
}

function drawPods(scene: Scene, host: Host): readonly string[] {
  const pods = podsOn(scene, host.name);
  const columns = pods.map((pod) => [pod.name, ...pod.addresses.map(formatAddress)]);
  const widths = columnWidths(columns);
  return pods.map((_pod, index) =>
    `${index === pods.length - 1 ? "└" : "├"}── ${padded(columns[index] ?? [], widths)}`.trimEnd(),
  );
}

function roleOf(host: Host): string {
  if (host.role !== "node") return host.role;
  const network =
    host.podNetwork === undefined
      ? ""
      : `, ${host.podNetwork.kind === "routed" ? "pods routed" : "pods on a CNI's bridge"}`;
  return `node${host.agent ? ", agent" : ""}${network}`;
}

function columnWidths(rows: readonly (readonly string[])[]): readonly number[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: count }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
}

function padded(row: readonly string[], widths: readonly number[]): string {
  return widths.map((width, column) => (row[column] ?? "").padEnd(width)).join("  ");
}

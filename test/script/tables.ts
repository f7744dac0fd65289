/** What a script may expect: tables of text, as an operator would read them. */
import { GAUGES } from "../../src/controller/samples.ts";
import { ADDRESS_ASSIGNED, ALLOCATED_FROM_POOL, OUTPUT_ANNOTATIONS } from "../../src/service/written.ts";
import type { World } from "./world.ts";

type Row = readonly string[];

/** From the objects as anyone reads them, not from what the controller thinks it did. */
export const TABLES: Readonly<Record<string, (world: World) => string>> = {
  services: (world) =>
    table(
      ["SERVICE", "ADDRESSES", "POOL", "NOTE"],
      [...world.snapshot().services].map(([key, { status, metadata }]) => [
        key,
        status.loadBalancer.ingress.map((ingress) => ingress.ip ?? ingress.hostname ?? "").join(","),
        metadata.annotations[ALLOCATED_FROM_POOL] ?? "",
        status.conditions
          .filter((c) => c.status === "False")
          .map((c) => `${c.type === ADDRESS_ASSIGNED ? "" : "unmet: "}${c.message}`)
          .join("; "),
      ]),
    ),
  pools: (world) =>
    table(
      ["POOL", "ASSIGNED4", "AVAILABLE4", "ASSIGNED6", "AVAILABLE6", "NOTE"],
      [...world.snapshot().ipAddressPools].map(([key, { status }]) => [
        key,
        String(status?.assignedIPv4),
        String(status?.availableIPv4),
        String(status?.assignedIPv6),
        String(status?.availableIPv6),
        (status?.conditions ?? []).map((c) => c.message).join("; "),
      ]),
    ),
  conditions: (world) =>
    table(
      ["OBJECT", "TYPE", "STATUS", "REASON", "SINCE"],
      [...world.snapshot().services, ...world.snapshot().ipAddressPools].flatMap(([key, { status }]) =>
        (status?.conditions ?? []).map((c) => [key, c.type, c.status, c.reason, c.lastTransitionTime ?? ""]),
      ),
    ),
  annotations: (world) =>
    table(
      ["SERVICE", "ANNOTATION", "VALUE"],
      [...world.snapshot().services].flatMap(([key, { metadata }]) =>
        OUTPUT_ANNOTATIONS.filter((name) => metadata.annotations[name] !== undefined).map((name) => [
          key,
          name,
          metadata.annotations[name] ?? "",
        ]),
      ),
    ),
  "cool-downs": (world) =>
    table(
      ["POOL", "IN USE", "RELEASED"],
      [...world.snapshot().ipAddressPools].map(([key, { status }]) => [
        key,
        (status?.coolDown?.inUse ?? []).join(", "),
        (status?.coolDown?.released ?? []).map(({ addresses, at }) => `${addresses} at ${at}`).join(", "),
      ]),
    ),
  metrics: (world) =>
    lines(
      GAUGES.flatMap(({ name, samples }) =>
        samples(world.decision()).map(({ labels, value }) => {
          const text = Object.entries(labels).map(([label, is]) => `${label}="${is}"`);
          return `${name}${text.length === 0 ? "" : `{${text.join(",")}}`} ${value}`;
        }),
      ),
    ),
  events: (world) =>
    table(
      ["TYPE", "REASON", "OBJECT", "MESSAGE"],
      world.takeEvents().map(({ type, reason, regarding, message }) => {
        return [type, reason.replaceAll(" ", "_"), `${regarding.namespace}/${regarding.name}`, message];
      }),
    ),
  problems: (world) => lines(world.problems()),
  writes: (world) => lines(world.writes()),
};

/** Columns as wide as their widest cell; an empty cell is a dash. */
function table(head: Row, rows: readonly Row[]): string {
  const cells = [head, ...rows.map((row) => row.map((cell) => (cell === "" ? "-" : cell)))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function lines(texts: readonly string[]): string {
  return texts.length === 0 ? "(none)" : texts.join("\n");
}

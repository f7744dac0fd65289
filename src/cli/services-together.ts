/**
 * What the agents of a cluster say about Services, as one list. All compute the same, so one row is enough - but who announces knows best
 * why something is wrong there, each node speaks BGP for itself, and where nodes do not agree, that is worth a line.
 */
import type { ServiceRow } from "../observe/status.ts";
import type { Answer } from "./agents.ts";

export interface ClusterServiceRow extends Omit<ServiceRow, "bgpPeers" | "bgpReason"> {
  /** Nodes that announce it by BGP, and to which BGPPeers. */
  readonly bgp: readonly { readonly node: string; readonly peers: readonly string[] }[];
  /** Nodes that see it otherwise than the others, and what they see. For a moment after a change that is as it should be. */
  readonly differently: readonly { readonly node: string; readonly sees: string }[];
}

export function servicesTogether(answers: readonly Answer<readonly ServiceRow[]>[]): readonly ClusterServiceRow[] {
  const all = answers.flatMap(({ node, document }) => document.map((row) => ({ node, row })));
  const byService = Map.groupBy(all, ({ row }) => `${row.namespace}/${row.name}`);
  const rows = [...byService.values()].map((seen) => together(seen, answers));
  return rows.toSorted((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
}

interface Seen {
  readonly node: string;
  readonly row: ServiceRow;
}

function together(seen: readonly Seen[], answers: readonly Answer<unknown>[]): ClusterServiceRow {
  const best = seen.find(({ node, row }) => row.announcer === node) ?? seen.find(({ row }) => isReason(row)) ?? seen[0];
  if (best === undefined) throw new Error("A group without a row");
  const { bgpPeers: _, bgpReason, ...row } = best.row;
  const usual = mostCommon(seen.map((each) => viewOf(each.row)));
  const sighted = new Set(seen.map(({ node }) => node));
  const blind = answers.filter(({ node }) => !sighted.has(node));
  const bgp = seen.flatMap(({ node, row: { bgpPeers = [] } }) =>
    bgpPeers.length === 0 ? [] : [{ node, peers: bgpPeers }],
  );
  const announceReason = row.announceReason ?? (bgp.length === 0 ? bgpReason : undefined);
  return {
    ...row,
    ...(announceReason === undefined ? {} : { announceReason }),
    bgp,
    differently: [
      ...seen.flatMap((each) => (viewOf(each.row) === usual ? [] : [{ node: each.node, sees: viewOf(each.row) }])),
      ...blind.map(({ node }) => ({ node, sees: "no such Service" })),
    ],
  };
}

/** Its own node has none of the interfaces it would need: only that node says so. */
function isReason(row: ServiceRow): boolean {
  return row.announceReason === "noInterface";
}

/** What every node should see alike, for people. */
function viewOf({ addresses, announcer, announcers, backends }: ServiceRow): string {
  const who =
    announcers?.map(({ address, node = "nobody" }) => `${address}: ${node}`).join(", ") ?? announcer ?? "nobody";
  const where = addresses.length === 0 ? "no address" : addresses.join(", ");
  return `${where}; announced by ${who}; ${backends.active} backends`;
}

function mostCommon(texts: readonly string[]): string | undefined {
  const groups = [...Map.groupBy(texts, (text) => text).values()];
  return groups.toSorted((a, b) => b.length - a.length)[0]?.[0];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** How the nodes of a cluster see each other, as one list: each node, what its agent says of itself, and who does not hear it. */
import type { NodeRow } from "../observe/status.ts";
import type { Answer } from "./agents.ts";
import type { Column } from "./table.ts";
import { duration } from "./words.ts";

export interface ClusterNodeRow {
  readonly name: string;
  readonly address?: string;
  /** Its agent answered. */
  readonly answers: boolean;
  readonly draining?: true;
  /** Of its stamp, by its own word. */
  readonly remainingSeconds?: number;
  /** How many nodes see it so. */
  readonly seen: Readonly<Partial<Record<NodeRow["state"], number>>>;
  /** Those that do not see it alive. */
  readonly notAliveFor: readonly string[];
}

export function nodesTogether(answers: readonly Answer<readonly NodeRow[]>[]): readonly ClusterNodeRow[] {
  const all = answers.flatMap(({ node, document }) => document.map((row) => ({ by: node, row })));
  const byName = Map.groupBy(all, ({ row }) => row.name);
  return [...byName].map(([name, seen]) => rowOf(name, seen)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function rowOf(name: string, seen: readonly { readonly by: string; readonly row: NodeRow }[]): ClusterNodeRow {
  const own = seen.find(({ by, row }) => by === name && row.state === "self")?.row;
  const others = seen.filter(({ row }) => row.state !== "self");
  const address = others.find(({ row }) => row.address !== undefined)?.row.address;
  const states = Map.groupBy(others, ({ row }) => row.state);
  return {
    name,
    ...(address === undefined ? {} : { address }),
    answers: own !== undefined,
    ...(own?.draining === undefined ? {} : { draining: own.draining }),
    ...(own?.remainingSeconds === undefined ? {} : { remainingSeconds: own.remainingSeconds }),
    seen: Object.fromEntries([...states].map(([state, rows]) => [state, rows.length])),
    notAliveFor: others.filter(({ row }) => row.state !== "alive").map(({ by }) => by),
  };
}

export const clusterNodeColumns: readonly Column<ClusterNodeRow>[] = [
  { title: "NODE", cell: (row) => row.name },
  { title: "ADDRESS", cell: (row) => row.address ?? "" },
  {
    title: "AGENT",
    cell: (row, paint) =>
      row.answers
        ? paint(row.draining === true ? "yellow" : "green", row.draining === true ? "draining" : "answers")
        : paint("red", "no answer"),
  },
  {
    title: "SEEN BY OTHERS",
    cell: ({ seen, notAliveFor }, paint) => {
      const counts = Object.entries(seen).map(([state, count]) => `${state} ${count}`);
      return paint(notAliveFor.length === 0 ? "green" : "red", counts.join(", "));
    },
  },
  { title: "NOT ALIVE FOR", cell: (row) => row.notAliveFor.join(", ") },
  {
    title: "STAMP",
    align: "right",
    cell: ({ remainingSeconds }) => (remainingSeconds === undefined ? "" : duration(remainingSeconds)),
  },
];

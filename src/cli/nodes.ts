/** `fairlead nodes`: the nodes as one of them sees them, or as they see each other. */
import type { Command } from "commander";
import type { NodeRow } from "../observe/status.ts";
import { listingCommand, rowsOf } from "./listing.ts";
import { clusterNodeColumns, nodesTogether } from "./nodes-together.ts";
import type { Colour, Column } from "./table.ts";
import type { World } from "./world.ts";
import { duration } from "./words.ts";

export function nodesCommand(world: World): Command {
  return listingCommand(world, {
    name: "nodes",
    example: "fairlead nodes\nfairlead nodes -o json",
    path: "/v1/nodes",
    columns,
    together: (answers) => rowsOf(nodesTogether(answers), clusterNodeColumns),
    whenEmpty: "No nodes",
  });
}

const COLOURS: Readonly<Record<NodeRow["state"], Colour>> = {
  self: "bold",
  alive: "green",
  abandoned: "yellow",
  gone: "red",
};

const columns: readonly Column<NodeRow>[] = [
  { title: "NODE", cell: (row) => row.name },
  { title: "ADDRESS", cell: (row) => row.address ?? "" },
  {
    title: "STATE",
    cell: (row, paint) => paint(row.away === true ? "yellow" : COLOURS[row.state], stateOf(row)),
  },
  { title: "STAMP", align: "right", cell: (row) => optional(row.remainingSeconds, duration) },
  { title: "LAST ANSWER", align: "right", cell: (row) => optional(row.lastAnswerMilliseconds, lastAnswer) },
];

function stateOf({ state, draining, away }: NodeRow): string {
  if (draining === true) return `${state}, draining`;
  return away === true ? `${state}, agent away` : state;
}

function lastAnswer(milliseconds: number): string {
  return milliseconds < 10_000 ? `${Math.round(milliseconds)}ms` : duration(milliseconds / 1000);
}

function optional(value: number | undefined, write: (value: number) => string): string {
  return value === undefined ? "" : write(value);
}

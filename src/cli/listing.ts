/** A command that reads one list from agents and prints it: most of them are only their columns. */
import { Command } from "commander";
import type { ApiDocuments } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import { askAll, findAgents, tellFailures, type Answer } from "./agents.ts";
import { withCommonOptions, type CommonOptions } from "./options.ts";
import { print } from "./output.ts";
import { paintFor, renderTable, type Column } from "./table.ts";
import type { World } from "./world.ts";

/** The paths that answer with a list. */
export type ListPath = {
  [P in keyof ApiDocuments]: ApiDocuments[P] extends readonly unknown[] ? P : never;
}[keyof ApiDocuments];

export interface Listing<P extends ListPath> {
  readonly name: string;
  /** Of a list below another command; the others have theirs in program.ts. */
  readonly summary?: string;
  readonly example: string;
  readonly path: P;
  readonly columns: readonly Column<ApiDocuments[P][number]>[];
  /** Instead of a table without rows. */
  readonly whenEmpty: string;
  /** What all agents of a cluster say together; without it, the rows of each behind its name. */
  readonly together?: (answers: readonly Answer<ApiDocuments[P]>[]) => Rows;
}

/** Rows that know how to be drawn. */
export interface Rows {
  readonly rows: readonly object[];
  readonly draw: (world: World) => string;
}

export function rowsOf<Row extends object>(rows: readonly Row[], columns: readonly Column<Row>[]): Rows {
  return { rows, draw: (world) => renderTable(columns, rows, paintFor(world)) };
}

/** Each row behind the name of the node whose agent said so. */
export function rowsByNode<Row extends object>(
  answers: readonly Answer<readonly Row[]>[],
  columns: readonly Column<Row>[],
): Rows {
  const rows = answers.flatMap(({ node, document }) => document.map((row) => ({ node, ...row })));
  return rowsOf(rows, [{ title: "NODE", cell: ({ node }) => node }, ...columns]);
}

export function listingCommand<P extends ListPath>(world: World, listing: Listing<P>): Command {
  const command = new Command(listing.name).description(listing.summary ?? "");
  return withCommonOptions(world, command, listing.example).action((options: CommonOptions) =>
    printListing(world, listing, options, ""),
  );
}

/** `query` is appended to the path: `?limit=10`. */
export async function printListing<P extends ListPath>(
  world: World,
  listing: Listing<P>,
  options: CommonOptions,
  query: string,
): Promise<void> {
  const { path, columns, whenEmpty, together } = listing;
  const found = await findAgents(world, options);
  if (found.type === "one") {
    const document: readonly ApiDocuments[P][number][] = await getDocument(found.agent, path, query);
    printRows(world, options, rowsOf(document, columns), whenEmpty);
    return;
  }
  const asked = await askAll(found.agents, path, query);
  const each: readonly Answer<readonly ApiDocuments[P][number][]>[] = asked.answers;
  printRows(world, options, together?.(asked.answers) ?? rowsByNode(each, columns), whenEmpty);
  tellFailures(world, asked);
}

export function printRows(world: World, { output }: CommonOptions, { rows, draw }: Rows, whenEmpty: string): void {
  print(world, output, rows, () => (rows.length === 0 ? `${whenEmpty}\n` : draw(world)));
}

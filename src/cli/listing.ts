/** A command that reads one list from the agent and prints it: most of them are only their columns. */
import { Command } from "commander";
import type { ApiDocuments } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import { print, withCommonOptions, type CommonOptions } from "./output.ts";
import { chooseSocket } from "./socket.ts";
import { paintFor, renderTable, type Column } from "./table.ts";
import type { World } from "./world.ts";

/** The paths that answer with a list. */
type ListPath = {
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
}

export function listingCommand<P extends ListPath>(world: World, listing: Listing<P>): Command {
  const command = new Command(listing.name).description(listing.summary ?? "");
  return withCommonOptions(command, listing.example).action((options: CommonOptions) =>
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
  const socket = await chooseSocket(world, options.socket);
  const rows = await getDocument(world, socket, listing.path, query);
  print(world, options.output, rows, () =>
    rows.length === 0 ? `${listing.whenEmpty}\n` : renderTable(listing.columns, rows, paintFor(world)),
  );
}

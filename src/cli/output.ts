/** How documents are printed. */
import { stringify } from "yaml";
import type { Format } from "./options.ts";
import type { World } from "./world.ts";

/** Prints a document as it is (json, yaml) or as the command draws it. */
export function print(world: World, format: Format, document: unknown, drawn: () => string): void {
  world.stdout.write(format === "table" ? drawn() : serialize(format, document));
}

function serialize(format: "json" | "yaml", document: unknown): string {
  return format === "json" ? `${JSON.stringify(document, undefined, 2)}\n` : stringify(document, { lineWidth: 0 });
}

/** Tables as kubectl prints them: aligned by spaces, no borders, nothing cut off. */
import { styleText } from "node:util";
import Table from "cli-table3";
import type { World } from "./world.ts";

export type Colour = "green" | "yellow" | "red" | "bold" | "dim";

/** Colours a text, or leaves it alone when the output is not a terminal or NO_COLOR is set (no-color.org). */
export type Paint = (colour: Colour, text: string) => string;

export interface Column<Row> {
  readonly title: string;
  /** Numbers are read from the right. */
  readonly align?: "right";
  readonly cell: (row: Row, paint: Paint) => string;
}

export function paintFor(world: World): Paint {
  const colours = world.stdout.isTTY && (world.env["NO_COLOR"] ?? "") === "";
  return colours ? (colour, text) => styleText(colour, text, { validateStream: false }) : (_, text) => text;
}

/** Lines without trailing blanks, with a newline at the end. A cell may have several lines. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
  const table = new Table({
    head: columns.map((column) => column.title),
    chars: BORDERLESS,
    style: { head: [], border: [], compact: true, "padding-left": 0, "padding-right": 0 },
    colAligns: columns.map((column) => column.align ?? "left"),
  });
  for (const row of rows) table.push(columns.map((column) => column.cell(row, paint) || "-"));
  return table
    .toString()
    .split("\n")
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

const BORDERLESS = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "   ",
};

/**
 * Tables as kubectl prints them: aligned by spaces, no borders, nothing cut off. At a cost that grows with the rows and no faster: a cluster
 * has tens of thousands of Services, and `config check` as many warnings.
 */
import { styleText } from "node:util";
import { getBorderCharacters, table, type ColumnUserConfig, type TableUserConfig } from "table";
import { visibleBesideColours } from "./visible.ts";
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
  return colours ? paintLines : (_, text) => text;
}

/** Each line by itself: the lines of a cell stand beside those of others. */
function paintLines(colour: Colour, text: string): string {
  return linesOf(text)
    .map((line) => styleText(colour, line, { validateStream: false }))
    .join("\n");
}

const LAYOUT: TableUserConfig = {
  border: getBorderCharacters("void"),
  columnDefault: { paddingLeft: 0, paddingRight: 3 },
  drawHorizontalLine: () => false,
};

/** Lines without trailing blanks, with a newline at the end. A cell may have several lines. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
  const head = columns.map(({ title }) => title);
  const body = rows.map((row) => columns.map((column) => visibleBesideColours(column.cell(row, paint) || "-")));
  const aligned = columns.map(({ align }): ColumnUserConfig => ({ alignment: align ?? "left" }));
  const drawn = table([head, ...body], { ...LAYOUT, columns: aligned });
  return drawn.replaceAll(/ +$/gmu, "");
}

function linesOf(text: string): readonly string[] {
  return text.split("\n");
}

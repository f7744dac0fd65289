/**
 * Tables as kubectl prints them: aligned by spaces, no borders, nothing cut off. At a cost that grows with the rows and no faster: a cluster
 * has tens of thousands of Services, and `config check` as many warnings.
 */
import { styleText } from "node:util";
import stringWidth from "string-width";
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

const BETWEEN = "   ";

/** Lines without trailing blanks, with a newline at the end. A cell may have several lines. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], paint: Paint): string {
  const head = columns.map(({ title }) => cellOf(title));
  const all = [head, ...rows.map((row) => columns.map((column) => cellOf(column.cell(row, paint) || "-")))];
  const widths = columns.map((_, index) => all.reduce((most, cells) => widest(most, cells[index] ?? []), 0));
  return all.flatMap((cells) => drawRow(cells, columns, widths)).join("");
}

type Cell = readonly Line[];

interface Line {
  readonly text: string;
  /** Places of a terminal: two for a wide character, none for colours. */
  readonly width: number;
}

function cellOf(text: string): Cell {
  return linesOf(text).map((line) => ({ text: line, width: stringWidth(line) }));
}

function widest(most: number, cell: Cell): number {
  return cell.reduce((width, line) => Math.max(width, line.width), most);
}

const EMPTY: Line = { text: "", width: 0 };

function drawRow(
  cells: readonly Cell[],
  columns: readonly Pick<Column<never>, "align">[],
  widths: readonly number[],
): readonly string[] {
  const height = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: height }, (_, at) => {
    const texts = columns.map(({ align }, index) => pad(cells[index]?.[at] ?? EMPTY, widths[index] ?? 0, align));
    return `${texts.join(BETWEEN).trimEnd()}\n`;
  });
}

function pad({ text, width }: Line, to: number, align: "right" | undefined): string {
  const blanks = " ".repeat(to - width);
  return align === "right" ? blanks + text : text + blanks;
}

function linesOf(text: string): readonly string[] {
  return text.split("\n");
}

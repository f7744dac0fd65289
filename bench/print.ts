/** A table of results. */
import { renderTable } from "../src/cli/table.ts";

type Cells = readonly (string | number)[];

export function print(title: string, head: readonly string[], rows: readonly Cells[]): void {
  const columns = head.map((name, index) => ({ title: name, cell: (cells: Cells) => String(cells[index] ?? "") }));
  console.log(`${title}\n${renderTable(columns, rows, (_, text) => text)}`);
}

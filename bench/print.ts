/** A table of results. */
import Table from "cli-table3";

export function print(title: string, head: string[], rows: (string | number)[][]): void {
  const chars = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" }; // no lines between rows
  const table = new Table({ head, style: { head: [], border: [] }, chars });
  table.push(...rows);
  console.log(`${title}\n${table.toString()}\n`);
}

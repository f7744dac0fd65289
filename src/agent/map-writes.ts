/** Rows of a hash table, read as a whole and written in batches. */
import type { HashTable } from "../datapath/ports.ts";
import { concatenate, type Row, type RowChanges } from "../reconcile/rows.ts";

export function rowsOf(table: HashTable): Row[] {
  return Array.from(table.entries(), ([key, value]) => ({ key: key.slice(), value: value.slice() }));
}

export function writeRows(table: HashTable, { puts, removes }: RowChanges): number {
  if (puts.length > 0) {
    table.put(concatenate(puts.map(({ key }) => key)), concatenate(puts.map(({ value }) => value)), puts.length);
  }
  if (removes.length > 0) table.remove(concatenate(removes), removes.length);
  return puts.length + removes.length;
}

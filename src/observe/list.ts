/**
 * A list as JSON, made and sent a row at a time: tens of thousands of rows keep neither everything else waiting nor all in memory at once, and
 * are made no faster than they are read.
 */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { PACE, Slices, type Pace } from "../time/slices.ts";

/** Rows as they are made. Undefined stands for none: a place for a pause in work that makes no row. */
export type Rows<Row> = Iterable<Row | undefined>;

/** Rows that begin when something else was found out; until then now and then undefined. */
export type LateRows<Row> = AsyncIterable<Row | undefined>;

/** What is sent in one go, in characters. */
const CHUNK = 1 << 16;

/** Who hears nothing for ten seconds takes the agent for dead: something is sent so often, if only a blank. */
export const SILENCE_MS = 2000;

/** Ends the answer. Rejects when a row cannot be made: where nothing was sent by then, something else can be. Nobody may read to its end. */
export async function sendRows(
  response: ServerResponse,
  rows: Rows<object> | LateRows<object>,
  pace: Pace = PACE,
): Promise<void> {
  const slices = new Slices(pace);
  let text = "[";
  let isFirst = true;
  let sentAt = pace.now();
  for await (const row of rows) {
    if (row !== undefined) {
      text += `${isFirst ? "" : ","}${JSON.stringify(row)}`;
      isFirst = false;
    }
    if (text.length >= CHUNK || pace.now() - sentAt >= SILENCE_MS) {
      await send(response, text === "" ? " " : text);
      text = "";
      sentAt = pace.now();
    }
    if (slices.due) await slices.pause();
    if (response.destroyed) return;
  }
  begin(response);
  response.end(`${text}]\n`);
}

function begin(response: ServerResponse): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "application/json" });
}

/** Resolves when the reader has taken it, or has gone. */
async function send(response: ServerResponse, text: string): Promise<void> {
  begin(response);
  if (response.write(text) || response.destroyed) return;
  const gone = new AbortController();
  try {
    await Promise.race(["drain", "close"].map((event) => once(response, event, { signal: gone.signal })));
  } finally {
    gone.abort();
  }
}

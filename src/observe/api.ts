/**
 * The local API: HTTP on a unix socket, JSON. Whoever may open the socket may read with GET. What may be changed by POST
 * is in {@link ChangeHandlers}: the port of the metrics never gets there. For those elsewhere: remote-api.ts.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { mkdirSync, rmSync } from "node:fs";
import { createConnection, type ListenOptions } from "node:net";
import { dirname } from "node:path";
import { sendRows, type LateRows, type Rows } from "./list.ts";
import {
  BGP_PCAP_PATH,
  ENDED_TRAILER,
  METRICS_PATH,
  MONITOR_PATH,
  type ApiDocuments,
  type ApiError,
  type MonitorEvent,
} from "./status.ts";

export type Query = ReadonlyMap<string, string>;

/** Documents that take a look at the machine first, or ask a worker. */
type Awaited = "/v1/explain" | "/v1/bgp/bfd";

/**
 * How each document is made. A function that throws a {@link BadRequest} answers 400 with the message, what else it throws
 * 500.
 */
export type DocumentProducers = {
  readonly [P in Exclude<keyof ApiDocuments, "/v1/services">]: (
    query: Query,
  ) => P extends Awaited ? Promise<Produced<P>> : Produced<P>;
} & {
  /** Who announces what is found out first. */
  readonly "/v1/services": (query: Query) => LateRows<ApiDocuments["/v1/services"][number]>;
};

/** Of a list its rows, as they are made. */
type Produced<P extends keyof ApiDocuments> = ApiDocuments[P] extends readonly (infer Row)[]
  ? Rows<Row>
  : ApiDocuments[P];

/** The query asks for something that makes no sense; the message says what would. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
}

/** What a POST changes: it answers with the document as it is then. Throws as {@link DocumentProducers} do. */
export type ChangeHandlers = Readonly<Record<"/v1/drain", (body: unknown) => ApiDocuments["/v1/drain"]>>;

export interface ApiHandlers {
  readonly changes: ChangeHandlers;
  readonly documents: DocumentProducers;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** Samples one packet in N until the returned function is called; 0: none. */
  readonly monitor: (sampling: { flows: number; drops: number }, emit: (event: MonitorEvent) => void) => () => void;
  /**
   * Calls with pieces of a capture file of this peer's BGP sessions, or all, until the returned function is called. `take` says false
   * where a slow reader does not get the piece. Throws a {@link BadRequest} on a peer that is not there.
   */
  readonly bgpPcap: (peer: string | undefined, take: (piece: Uint8Array) => boolean) => () => void;
  readonly onError: (path: string, error: unknown) => void;
}

/** Of a POST, in bytes. */
const BODY_MAX = 1024;

/** Events that wait for a slow reader, in bytes: more are left out. */
const MONITOR_BACKLOG_MAX = 1 << 20;

/** The same of a capture: a table of 100,000 routes goes out in one burst. */
const PCAP_BACKLOG_MAX = 8 << 20;

/** Rejects when another agent answers there: two would fight over one datapath. */
export async function requireSocket(path: string): Promise<void> {
  if (await answers(path))
    throw new Error(`Cannot serve the API on ${path}: another agent answers there; stop it first`);
}

/** Listens on a unix socket. A socket file without a listener is left over from a killed agent and replaced. */
export async function serveApi(path: string, handlers: ApiHandlers): Promise<Server> {
  await requireSocket(path);
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  return listen({ path }, (request, response) => answerRequest(handlers, request, response));
}

/** Of somebody who may read and change. */
export function answerRequest(handlers: ApiHandlers, request: IncomingMessage, response: ServerResponse): void {
  const { pathname } = parseUrl(request.url);
  const { changes } = handlers;
  if (request.method !== "POST" || !isChange(changes, pathname)) return handle(handlers, request, response);
  change(changes[pathname], request, response).catch((error: unknown) => fail(handlers, pathname, response, error));
}

/** Ends a stream that would go on, and says why to who reads trailers. */
export function endStream(response: ServerResponse, reason: string): void {
  // Before the head is out there is nothing to explain: the answer is on its way.
  if (response.headersSent && response.getHeader("trailer") !== undefined)
    response.addTrailers({ [ENDED_TRAILER]: reason.replaceAll(/[^\x20-\x7e]/g, "?") });
  response.end();
}

export function refuse(response: ServerResponse, status: number, error: string): void {
  answer(response, status, { error } satisfies ApiError);
}

/** `/metrics` alone, over TCP, for Prometheus. */
export async function serveMetrics(address: { host: string; port: number }, handlers: ApiHandlers): Promise<Server> {
  return listen(address, (request, response) => {
    if (request.url === METRICS_PATH) return handle(handlers, request, response);
    return answer(response, 404, { error: `only ${METRICS_PATH} is here` });
  });
}

/** An HTTP server that listens. Rejects when it cannot. */
export async function listen(
  where: ListenOptions,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  const server = createServer(onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return server;
}

function handle(handlers: ApiHandlers, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = parseUrl(request.url);
  if (request.method !== "GET")
    return answer(response, 405, { error: `${request.method} is not allowed: this API is read with GET` });
  if (pathname === MONITOR_PATH) return monitor(handlers, searchParams, response);
  if (pathname === BGP_PCAP_PATH) return capture(handlers, searchParams.get("peer"), response);
  if (pathname === METRICS_PATH) return scrape(handlers, response);
  const { documents } = handlers;
  if (!isDocument(documents, pathname)) {
    return answer(response, 404, {
      error: `nothing at ${pathname}: there are ${[...Object.keys(documents), MONITOR_PATH, BGP_PCAP_PATH, METRICS_PATH].join(", ")}`,
    });
  }
  produce(documents[pathname], searchParams, response).catch((error: unknown) =>
    error instanceof BadRequest
      ? answer(response, 400, { error: error.message })
      : fail(handlers, pathname, response, error),
  );
}

async function produce(
  producer: (query: Query) => object | Promise<object>,
  query: Query,
  response: ServerResponse,
): Promise<void> {
  const document = await producer(query);
  if (Symbol.iterator in document) await sendRows(response, document as Rows<object>);
  else if (Symbol.asyncIterator in document) await sendRows(response, document as LateRows<object>);
  else answer(response, 200, document);
}

function parseUrl(url = "/"): { pathname: string; searchParams: Query } {
  const [pathname = "/", search = ""] = url.split("?", 2);
  return { pathname, searchParams: new Map(new URLSearchParams(search)) };
}

function isChange(changes: ChangeHandlers, path: string): path is keyof ChangeHandlers {
  return Object.hasOwn(changes, path);
}

async function change(
  apply: ChangeHandlers[keyof ChangeHandlers],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await bodyOf(request);
  if (body === undefined) {
    response.setHeader("connection", "close");
    return answer(response, 413, { error: `the body is longer than ${BODY_MAX} bytes` });
  }
  try {
    answer(response, 200, apply(parseJson(body)));
  } catch (error) {
    if (!(error instanceof BadRequest)) throw error;
    answer(response, 400, { error: error.message });
  }
}

/** `undefined`: longer than may be. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_MAX) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BadRequest("the body is not JSON");
  }
}

function isDocument(documents: DocumentProducers, path: string): path is keyof ApiDocuments {
  return Object.hasOwn(documents, path);
}

function answer(response: ServerResponse, status: number, document: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(document)}\n`);
}

function fail(handlers: ApiHandlers, path: string, response: ServerResponse, error: unknown): void {
  handlers.onError(path, error);
  // Half a list must not look like a whole one.
  if (response.headersSent) response.destroy();
  else answer(response, 500, { error: error instanceof Error ? error.message : String(error) });
}

function scrape(handlers: ApiHandlers, response: ServerResponse): void {
  handlers.metrics().then(
    ({ contentType, text }) => response.writeHead(200, { "content-type": contentType }).end(text),
    (error: unknown) => fail(handlers, METRICS_PATH, response, error),
  );
}

function monitor(handlers: ApiHandlers, query: Query, response: ServerResponse): void {
  const flows = parseCount(query.get("flows") ?? "0");
  const drops = parseCount(query.get("drops") ?? "1");
  if (flows === undefined || drops === undefined) {
    return answer(response, 400, { error: "flows and drops are whole numbers: one packet in N is shown, 0 is none" });
  }
  response.setHeader("trailer", ENDED_TRAILER);
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders();
  const stop = handlers.monitor({ flows, drops }, (event) => {
    if (!response.writableEnded && response.writableLength < MONITOR_BACKLOG_MAX)
      response.write(`${JSON.stringify(event)}\n`);
  });
  response.once("close", stop);
}

function capture(handlers: ApiHandlers, peer: string | undefined, response: ServerResponse): void {
  const take = (piece: Uint8Array): boolean => {
    if (response.writableEnded || response.writableLength >= PCAP_BACKLOG_MAX) return false;
    response.write(piece);
    return true;
  };
  response.setHeader("content-type", "application/vnd.tcpdump.pcap");
  response.setHeader("trailer", ENDED_TRAILER);
  try {
    response.once("close", handlers.bgpPcap(peer, take));
  } catch (error) {
    response.removeHeader("trailer");
    if (error instanceof BadRequest) return answer(response, 400, { error: error.message });
    return fail(handlers, BGP_PCAP_PATH, response, error);
  }
  response.flushHeaders();
}

/** A whole number from 0 to 2^32-1. */
export function parseCount(text: string): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value <= 0xffff_ffff ? value : undefined;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

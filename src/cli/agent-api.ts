/**
 * The client's end of the agent's local API (docs/api.md): HTTP over a unix socket.
 * An agent that cannot be reached ends the command with status 3, an error it answers with status 1.
 */
import { request, type IncomingMessage } from "node:http";
import {
  BGP_PCAP_PATH,
  MONITOR_PATH,
  type ApiDocuments,
  type DrainRequest,
  type MonitorEvent,
} from "../observe/status.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

/** Reads one document. `query` is appended as it is: `?limit=10`. */
export async function getDocument<P extends keyof ApiDocuments>(
  world: World,
  socket: string,
  path: P,
  query = "",
): Promise<ApiDocuments[P]> {
  return documentOf(await get(world, socket, `${path}${query}`), socket, path);
}

/** Asks for a change; the answer is the document as it is then. */
export async function postDocument<P extends "/v1/drain">(
  world: World,
  socket: string,
  path: P,
  body: DrainRequest,
): Promise<ApiDocuments[P]> {
  return documentOf(await get(world, socket, path, JSON.stringify(body)), socket, path);
}

async function documentOf<P extends keyof ApiDocuments>(
  response: IncomingMessage,
  socket: string,
  path: P,
): Promise<ApiDocuments[P]> {
  const body = await bodyOf(response, socket);
  if (response.statusCode !== 200) throw refused(socket, path, response, body);
  try {
    return JSON.parse(body) as ApiDocuments[P];
  } catch (cause) {
    throw new CommandFailure(
      EXIT.problem,
      `Cannot read ${path} from the agent at ${socket}: not JSON (${text(cause)})`,
    );
  }
}

/** How many packets there are for one event; 0: none. */
export interface Sampling {
  readonly flows: number;
  readonly drops: number;
}

/** Events as they happen, until the world stops. Fails when the agent ends the stream. */
export async function* monitorEvents(world: World, socket: string, sampling: Sampling): AsyncGenerator<MonitorEvent> {
  const path = `${MONITOR_PATH}?flows=${sampling.flows}&drops=${sampling.drops}`;
  for await (const line of streamOf(world, socket, { path, stop: world.stop, read: linesOf }))
    yield JSON.parse(line) as MonitorEvent;
}

/** Pieces of a capture file, until `stop`. Fails when the agent ends the stream. */
export function pcapPieces(
  world: World,
  socket: string,
  peer: string | undefined,
  stop: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const path = `${BGP_PCAP_PATH}${peer === undefined ? "" : `?peer=${encodeURIComponent(peer)}`}`;
  return streamOf(world, socket, { path, stop, read: (response) => response as AsyncIterable<Uint8Array> });
}

interface Stream<Piece> {
  readonly path: string;
  readonly stop: AbortSignal;
  readonly read: (response: IncomingMessage) => AsyncIterable<Piece>;
}

async function* streamOf<Piece>(
  world: World,
  socket: string,
  { path, stop, read }: Stream<Piece>,
): AsyncGenerator<Piece> {
  const response = await get(world, socket, path);
  if (response.statusCode !== 200) throw refused(socket, path, response, await bodyOf(response, socket));
  // A quiet network is no reason to hang up.
  response.socket.setTimeout(0);
  const hangUp = (): void => void response.destroy();
  stop.addEventListener("abort", hangUp, { once: true });
  try {
    yield* read(response);
  } catch (cause) {
    if (!stop.aborted) throw unreachable(socket, cause);
  } finally {
    stop.removeEventListener("abort", hangUp);
    response.destroy();
  }
  if (!stop.aborted)
    throw new CommandFailure(EXIT.unreachable, `The agent at ${socket} ended the stream: it has probably stopped`);
}

/** Complete, non-empty lines. (node:readline never ends when its input is destroyed.) */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of response.setEncoding("utf8") as AsyncIterable<string>) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines.filter((line) => line !== "");
  }
}

/** With a body it is a POST. */
function get(world: World, socket: string, path: string, body?: string): Promise<IncomingMessage> {
  const timeout = world.answerTimeoutMilliseconds;
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath: socket,
      path,
      method: body === undefined ? "GET" : "POST",
      timeout,
      headers: { host: "fairlead", connection: "close" },
    });
    outgoing.on("response", resolve);
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${timeout} ms`)));
    outgoing.on("error", (cause) => reject(unreachable(socket, cause)));
    outgoing.end(body);
  });
}

async function bodyOf(response: IncomingMessage, socket: string): Promise<string> {
  try {
    return Buffer.concat((await response.toArray()) as Buffer[]).toString("utf8");
  } catch (cause) {
    throw unreachable(socket, cause);
  }
}

function refused(socket: string, path: string, response: IncomingMessage, body: string): CommandFailure {
  const found = /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(body)?.[1] ?? body.slice(0, 200);
  return new CommandFailure(
    EXIT.problem,
    `The agent at ${socket} answered ${path} with ${response.statusCode}: ${found}`,
  );
}

function unreachable(socket: string, cause: unknown): CommandFailure {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new CommandFailure(EXIT.unreachable, `Cannot reach the agent at ${socket}: ${REASONS[code] ?? text(cause)}`);
}

/** What it means for the operator, and what to do. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket. Is the agent running? Start it, or give another --socket",
  ECONNREFUSED: "nobody listens there. The agent that made this socket has ended: start it again",
  EACCES: "permission denied. Run this as root",
  ENOTSOCK: "this is not a socket. Give the path of the agent's socket with --socket",
  ECONNRESET: "it hung up before it had answered. See its log",
};

function text(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

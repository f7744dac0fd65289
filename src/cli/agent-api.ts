/**
 * The client's end of the agent's API (docs/api.md), however the agent is reached.
 * An agent that cannot be reached ends the command with status 3, an error it answers with status 1.
 */
import type { IncomingMessage } from "node:http";
import {
  BGP_PCAP_PATH,
  ENDED_TRAILER,
  MONITOR_PATH,
  type ApiDocuments,
  type DrainRequest,
  type MonitorEvent,
} from "../observe/status.ts";
import { visible, visibleTexts } from "./visible.ts";
import { CommandFailure, EXIT } from "./world.ts";

export interface Agent {
  /** For messages, after "the agent": `at /run/fairlead/worker1.sock`, `on worker1`. */
  readonly where: string;
  /** Its node, known without asking it in a cluster only. */
  readonly node: string | undefined;
  /** With a body it is a POST. Rejects with a {@link CommandFailure}. */
  open(path: string, body?: string): Promise<IncomingMessage>;
}

export type ClusterAgent = Agent & { readonly node: string };

/** Reads one document. `query` is appended as it is: `?limit=10`. */
export async function getDocument<P extends keyof ApiDocuments>(
  agent: Agent,
  path: P,
  query = "",
): Promise<ApiDocuments[P]> {
  return documentOf(await agent.open(`${path}${query}`), agent, path);
}

/** Asks for a change; the answer is the document as it is then. */
export async function postDocument<P extends "/v1/drain">(
  agent: Agent,
  path: P,
  body: DrainRequest,
): Promise<ApiDocuments[P]> {
  return documentOf(await agent.open(path, JSON.stringify(body)), agent, path);
}

async function documentOf<P extends keyof ApiDocuments>(
  response: IncomingMessage,
  agent: Agent,
  path: P,
): Promise<ApiDocuments[P]> {
  const body = await bodyOf(response, agent);
  if (response.statusCode !== 200) throw refused(agent, path, response, body);
  try {
    return JSON.parse(body, visibleTexts) as ApiDocuments[P];
  } catch (cause) {
    throw new CommandFailure(
      EXIT.problem,
      `Cannot read ${path} from the agent ${agent.where}: not JSON (${text(cause)})`,
    );
  }
}

/** Of a capture file, before its first packet. */
const PCAP_HEADER_BYTES = 24;

/** How many packets there are for one event; 0: none. */
export interface Sampling {
  readonly flows: number;
  readonly drops: number;
}

/** Events as they happen, until `stop`. Fails when the agent ends the stream; one that ends with its ticket goes on with another. */
export async function* monitorEvents(
  agent: Agent,
  sampling: Sampling,
  stop: AbortSignal,
): AsyncGenerator<MonitorEvent> {
  const path = `${MONITOR_PATH}?flows=${sampling.flows}&drops=${sampling.drops}`;
  for await (const line of streamOf(agent, { path, stop, read: linesOf }))
    yield JSON.parse(line, visibleTexts) as MonitorEvent;
}

/** Pieces of a capture file, until `stop`. Fails and goes on as {@link monitorEvents} does: its file has one header all the same. */
export function pcapPieces(agent: Agent, peer: string | undefined, stop: AbortSignal): AsyncGenerator<Uint8Array> {
  const path = `${BGP_PCAP_PATH}${peer === undefined ? "" : `?peer=${encodeURIComponent(peer)}`}`;
  const read = (response: IncomingMessage, isFirst: boolean): AsyncIterable<Uint8Array> =>
    isFirst ? response : withoutHeader(response);
  return streamOf(agent, { path, stop, read });
}

interface Stream<Piece> {
  readonly path: string;
  readonly stop: AbortSignal;
  readonly read: (response: IncomingMessage, isFirst: boolean) => AsyncIterable<Piece>;
}

async function* streamOf<Piece>(agent: Agent, stream: Stream<Piece>): AsyncGenerator<Piece> {
  for (let isFirst = true; !stream.stop.aborted; isFirst = false) {
    const goesOn: boolean = yield* readOnce(agent, stream, isFirst);
    if (stream.stop.aborted || goesOn) continue;
    throw new CommandFailure(EXIT.unreachable, `The agent ${agent.where} ended the stream: it has probably stopped`);
  }
}

/** True: it ended with its ticket, and whoever still may goes on with another. */
async function* readOnce<Piece>(
  agent: Agent,
  { path, stop, read }: Stream<Piece>,
  isFirst: boolean,
): AsyncGenerator<Piece, boolean> {
  const response = await agent.open(path);
  if (response.statusCode !== 200) throw refused(agent, path, response, await bodyOf(response, agent));
  // A quiet network is no reason to hang up.
  response.socket.setTimeout(0);
  const hangUp = (): void => void response.destroy();
  stop.addEventListener("abort", hangUp, { once: true });
  try {
    yield* read(response, isFirst);
  } catch (cause) {
    if (!stop.aborted) throw unreachable(agent, cause);
  } finally {
    stop.removeEventListener("abort", hangUp);
    response.destroy();
  }
  return response.trailers[ENDED_TRAILER] !== undefined;
}

async function* withoutHeader(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = PCAP_HEADER_BYTES;
  for await (const piece of pieces) {
    const rest = piece.subarray(Math.min(left, piece.length));
    left -= piece.length - rest.length;
    if (rest.length > 0) yield rest;
  }
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

async function bodyOf(response: IncomingMessage, agent: Agent): Promise<string> {
  try {
    return Buffer.concat((await response.toArray()) as Buffer[]).toString("utf8");
  } catch (cause) {
    throw unreachable(agent, cause);
  }
}

function refused(agent: Agent, path: string, response: IncomingMessage, body: string): CommandFailure {
  const found = /"error"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(body)?.[1] ?? body.slice(0, 200);
  return new CommandFailure(
    EXIT.problem,
    `The agent ${agent.where} answered ${path} with ${response.statusCode}: ${visible(found)}`,
  );
}

/** What it means for the operator, and what to do. */
export function unreachable({ where }: Pick<Agent, "where">, cause: unknown): CommandFailure {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return new CommandFailure(EXIT.unreachable, `Cannot reach the agent ${where}: ${REASONS[code] ?? text(cause)}`);
}

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

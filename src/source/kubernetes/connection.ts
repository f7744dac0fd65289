/**
 * Requests to the API server over one HTTP/2 connection, made again when it is lost. Pings notice a server that is gone
 * without a word, within 20 seconds, whatever its watches were silent about.
 */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import type { ApiServer, Credentials } from "./credentials.ts";
import { Unreachable } from "./unreachable.ts";

export interface Request {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** `/api/v1/services` */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Of the body: `application/json` by default. */
  readonly contentType?: string;
}

export interface Response {
  readonly status: number;
  /** Of a Retry-After header. */
  readonly retryAfterSeconds: number | undefined;
  /** Parsed JSON; for an answer that is none, a text. */
  readonly body: unknown;
  /** Of the body, as it came. */
  readonly bytes?: number;
}

export interface Watching {
  /** Called once, before any line. */
  readonly onOpen: () => void;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Connection {
  /** Rejects with {@link Unreachable} when there is no answer: no connection, no trust, none in time; also when one is beyond every bound. */
  request(request: Request): Promise<Response>;
  /**
   * Reads an answer line by line. Resolves with undefined when the server ends it, or with the answer where that is not 200.
   * Rejects with {@link Unreachable} when the connection is lost; also when a line is beyond every bound.
   */
  watch(request: Request, watching: Watching): Promise<Response | undefined>;
  close(): void;
}

const CONNECT_MS_MAX = 10_000;
const ANSWER_MS_MAX = 60_000;
/** Tokens are rotated long before they end. */
const CREDENTIALS_MS = 30_000;
/** After a refusal they are read again, but no more often: a kubeconfig may name a program that makes them. */
const REFUSED_MS_MIN = 1000;
const UNAUTHORIZED = 401;
/** A page of 500 objects is a few MB; one object at most 1.5. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const LINE_BYTES_MAX = 8 * 1024 * 1024;

export interface ConnectionOptions {
  /** Between two pings; a connection is given up after one that was not answered. */
  readonly pingMilliseconds?: number;
}

export function openConnection(server: ApiServer, { pingMilliseconds = 10_000 }: ConnectionOptions = {}): Connection {
  const credentials = rememberFor(CREDENTIALS_MS, () => server.credentials());
  let session: ClientHttp2Session | undefined;
  let withCertificate = false;
  let opening: Promise<ClientHttp2Session> | undefined;
  const open = async (): Promise<ClientHttp2Session> => {
    const current = await server.credentials();
    withCertificate = current.cert !== undefined;
    session = openSession(server.url, current, pingMilliseconds);
    return session;
  };
  // All watches lose a connection together, and share the next one.
  const usable = async (): Promise<ClientHttp2Session> => {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    opening ??= open().finally(() => (opening = undefined));
    return opening;
  };
  const send = async ({ method, path, query = {}, body, contentType }: Request): Promise<ClientHttp2Stream> => {
    const { authorization, headers: more = {} } = await credentials.known();
    const search = new URLSearchParams(query).toString();
    const headers = {
      ":method": method,
      ":path": search === "" ? path : `${path}?${search}`,
      accept: "application/json",
      "user-agent": "fairlead",
      ...more,
      ...(authorization === undefined ? {} : { authorization }),
      ...(body === undefined ? {} : { "content-type": contentType ?? "application/json" }),
    };
    // Said explicitly: a DELETE is taken to have no body otherwise.
    const stream = (await usable()).request(headers, { endStream: body === undefined });
    stream.end(body === undefined ? undefined : JSON.stringify(body));
    return stream;
  };
  /** Whom the server does not know had its token or certificate replaced lately, or will soon. */
  const noted = <T extends Response | undefined>(answer: T): T => {
    if (answer?.status === UNAUTHORIZED && credentials.forget() && withCertificate) session?.destroy();
    return answer;
  };
  return {
    request: (request) => answered(async () => noted(await readAnswer(await send(request)))),
    watch: (request, watching) => answered(async () => noted(await readLines(await send(request), watching))),
    close: () => session?.destroy(),
  };
}

/** An answer beyond every bound: it is nonsense, but the server answers. */
class TooLarge extends Error {}

async function answered<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof TooLarge ? error : new Unreachable(error);
  }
}

function openSession(
  url: URL,
  { ca, cert, key, serverName, verify }: Credentials,
  pingMilliseconds: number,
): ClientHttp2Session {
  const session = connect(url, {
    rejectUnauthorized: verify,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  });
  const giveUp = setTimeout(
    () => session.destroy(new Error(`no connection within ${CONNECT_MS_MAX / 1000} s`)),
    CONNECT_MS_MAX,
  );
  let unanswered = 0;
  const pings = setInterval(() => {
    // Its end is told in a later turn than this may be.
    if (session.destroyed) return;
    if (unanswered > 0) {
      session.destroy(new Error(`the server has not answered a ping for ${pingMilliseconds / 1000} s`));
      return;
    }
    unanswered += 1;
    session.ping((error) => {
      if (error === null) unanswered = 0;
    });
  }, pingMilliseconds);
  session.once("connect", () => clearTimeout(giveUp));
  session.once("close", () => {
    clearTimeout(giveUp);
    clearInterval(pings);
  });
  // Every stream of it fails too, and tells whoever waits.
  session.on("error", () => {});
  return session;
}

async function readAnswer(stream: ClientHttp2Stream): Promise<Response> {
  const giveUp = setTimeout(
    () => stream.destroy(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`)),
    ANSWER_MS_MAX,
  );
  try {
    const head = await headOf(stream);
    const text = await readAll(stream);
    return { ...head, body: parseBody(text), bytes: Buffer.byteLength(text) };
  } finally {
    clearTimeout(giveUp);
  }
}

async function readLines(
  stream: ClientHttp2Stream,
  { onOpen, onLine, signal }: Watching,
): Promise<Response | undefined> {
  const abort = (): void => stream.close(constants.NGHTTP2_CANCEL);
  signal.addEventListener("abort", abort, { once: true });
  try {
    const head = await headOf(stream);
    if (head.status !== 200) return { ...head, body: parseBody(await readAll(stream)) };
    onOpen();
    const lines = new Lines(onLine);
    for await (const chunk of stream as AsyncIterable<Buffer>) lines.push(chunk);
    // An iteration also ends where the stream was destroyed without an error.
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR && !signal.aborted)
      throw new Error(`the server broke the watch off (HTTP/2 error ${stream.rstCode})`);
    return undefined;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
    stream.destroy();
  }
}

function headOf(stream: ClientHttp2Stream): Promise<Pick<Response, "status" | "retryAfterSeconds">> {
  return new Promise((resolve, reject) => {
    stream.once("response", (headers) => {
      const seconds = Number(headers["retry-after"]);
      resolve({
        status: headers[":status"] ?? 0,
        retryAfterSeconds: Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined,
      });
    });
    stream.once("error", reject);
    stream.once("close", () => reject(new Error("the connection was closed before an answer came")));
  });
}

async function readAll(stream: ClientHttp2Stream): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new TooLarge(`the API server's answer is larger than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  if (stream.rstCode !== constants.NGHTTP2_NO_ERROR)
    throw new Error(`the server broke the answer off (HTTP/2 error ${stream.rstCode})`);
  return Buffer.concat(chunks).toString("utf8");
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Bytes into lines; a line may come in many chunks and a chunk hold many lines. */
class Lines {
  readonly #onLine: (line: string) => void;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.#parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(this.#parts).toString("utf8");
      this.#parts = [];
      this.#size = 0;
      start = end + 1;
      if (line.length > 0) this.#onLine(line);
    }
    if (start === chunk.length) return;
    this.#parts.push(chunk.subarray(start));
    this.#size += chunk.length - start;
    if (this.#size > LINE_BYTES_MAX)
      throw new TooLarge(`the API server sent a line of more than ${LINE_BYTES_MAX} bytes`);
  }
}

interface Remembered<T> {
  known(): Promise<T>;
  /** False: it was asked for just now, and is kept. */
  forget(): boolean;
}

/** Asks again when the last answer is older than this, or was forgotten; a failure is not remembered. */
function rememberFor<T>(milliseconds: number, ask: () => Promise<T>): Remembered<T> {
  let known: { readonly value: T; readonly at: number } | undefined;
  return {
    known: async () => {
      if (known === undefined || performance.now() > known.at + milliseconds)
        known = { value: await ask(), at: performance.now() };
      return known.value;
    },
    forget: () => {
      if (known === undefined || performance.now() < known.at + REFUSED_MS_MIN) return false;
      known = undefined;
      return true;
    },
  };
}

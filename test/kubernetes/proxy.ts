/**
 * Stands between a program and the API server and does what networks and servers do: refuses, says nonsense, cuts, falls silent.
 *
 *     program ── HTTP/2, no TLS ──► wire (bytes) ──► speaker (requests) ── HTTP/2, TLS ──► API server
 */
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { connect as connectSocket, createServer as createSocketServer, type Server, type Socket } from "node:net";
import type { ApiServer } from "../../src/source/kubernetes/credentials.ts";

/** What is said in the API server's place. */
export interface Refusal {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Of a request; undefined lets it through. */
export type Decide = (method: string, path: string) => Refusal | undefined;

export interface Proxy extends Wire {
  /** The API server, seen through the proxy, as the same user. */
  readonly server: ApiServer;
  /** Asked about every request from now on. */
  interfere(decide: Decide | undefined): void;
  /** Says a line in every watch that is open, or in those of a resource. False: there was none. */
  inject(line: string, resource?: string): boolean;
  /** What was asked for, as `GET /api/v1/services?…`. */
  readonly requests: readonly string[];
}

interface Wire {
  /** Ends every connection, and refuses new ones until `mend`. */
  cut(): void;
  /** Connections stay, and nothing comes through them in either direction, until `mend`. */
  fallSilent(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function startProxy(behind: ApiServer): Promise<Proxy> {
  const speaker = createServer();
  const watches = new Map<ServerHttp2Stream, string>();
  const requests: string[] = [];
  const onward = openUpstream(behind);
  let decide: Decide | undefined;
  speaker.on("session", (session) => session.on("error", () => {}));
  speaker.on("stream", (incoming, headers) => {
    const stream = incoming as ServerHttp2Stream;
    const [method, path] = [headers[":method"] ?? "", headers[":path"] ?? ""];
    requests.push(`${method} ${path}`);
    stream.on("error", () => {});
    const refusal = decide?.(method, path);
    if (refusal !== undefined) {
      stream.respond({ ":status": refusal.status, ...refusal.headers });
      stream.end(refusal.body);
      return;
    }
    if (path.includes("watch=true")) watches.set(stream, path);
    stream.once("close", () => watches.delete(stream));
    void onward.forward(stream, headers);
  });
  const wire = await startWire(await listen(speaker));
  return {
    ...wire,
    server: { ...behind, url: new URL(`http://127.0.0.1:${wire.port}`) },
    requests,
    interfere: (next) => (decide = next),
    inject: (line, resource = "") => {
      const meant = [...watches].filter(([watch, path]) => watch.headersSent && path.includes(`/${resource}`));
      for (const [watch] of meant) watch.write(`${line}\n`);
      return meant.length > 0;
    },
    close: async () => {
      await wire.close();
      onward.close();
      await new Promise((resolve) => speaker.close(resolve));
    },
  };
}

function openUpstream(behind: ApiServer): {
  readonly forward: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => Promise<void>;
  readonly close: () => void;
} {
  let session: ClientHttp2Session | undefined;
  const usable = async (): Promise<ClientHttp2Session> => {
    if (session !== undefined && !session.destroyed && !session.closed) return session;
    const { ca } = await behind.credentials();
    session = connect(behind.url, ca === undefined ? {} : { ca });
    session.on("error", () => {});
    return session;
  };
  return {
    forward: async (stream, headers) => {
      const asked = Object.entries(headers).filter(([name]) => name !== ":authority" && name !== "host");
      const request = (await usable()).request({ ...Object.fromEntries(asked), ":scheme": "https" });
      // The API server is away: so is the proxy.
      request.on("error", () => stream.destroy());
      request.once("response", (answer) => {
        const retryAfter = answer["retry-after"];
        const kept = retryAfter === undefined ? {} : { "retry-after": retryAfter };
        if (!stream.closed && !stream.headersSent) stream.respond({ ":status": answer[":status"] ?? 502, ...kept });
      });
      request.pipe(stream);
      stream.pipe(request);
      stream.once("close", () => request.close());
    },
    close: () => session?.destroy(),
  };
}

/** Carries bytes to this port of the machine, until it is told otherwise. */
async function startWire(port: number): Promise<Wire & { readonly port: number }> {
  let refusing = false;
  let silent = false;
  const sockets = new Set<Socket>();
  const server = createSocketServer((near) => {
    if (refusing) {
      near.destroy();
      return;
    }
    const far = connectSocket(port, "127.0.0.1");
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      // What comes while it is silent is lost with the connection.
      socket.on("data", (chunk) => silent || other.write(chunk));
    }
  });
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: await listen(server),
    cut: () => {
      refusing = true;
      destroyAll();
    },
    fallSilent: () => (silent = true),
    mend: () => {
      refusing = false;
      if (silent) destroyAll();
      silent = false;
    },
    close: async () => {
      destroyAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function listen(server: Pick<Server, "listen" | "address">): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("A listening server has no port");
  return address.port;
}

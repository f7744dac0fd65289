/** The webhook's HTTPS server: a bounded body in, an answer out. Certificates are exchanged while it runs. */
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ListenAddress } from "../../net/listen.ts";
import type { Certificates } from "../../source/kubernetes/certificates.ts";

export interface WebhookServer {
  /** For connections from now on. */
  setCertificates(certificates: Omit<Certificates, "ca">): void;
  readonly port: number;
  close(): Promise<void>;
}

/** The API server sends at most 3 MB, an object before and after. */
const BODY_BYTES_MAX = 8 * 1024 * 1024;
const BODY_MS_MAX = 10_000;

/** `answer`: of a parsed body; undefined for what is no review. Rejects when it cannot listen there. */
export async function serveWebhook(
  listen: ListenAddress,
  certificates: Omit<Certificates, "ca">,
  answer: (body: unknown) => Promise<unknown>,
): Promise<WebhookServer> {
  const { cert, key } = certificates;
  const server = createServer(
    { cert, key, minVersion: "TLSv1.2", requestTimeout: BODY_MS_MAX },
    (request, response) => {
      void respond(request, response, answer);
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen, resolve);
  });
  return {
    setCertificates: (next) => server.setSecureContext({ cert: next.cert, key: next.key, minVersion: "TLSv1.2" }),
    port: portOf(server),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (body: unknown) => Promise<unknown>,
): Promise<void> {
  if (request.method !== "POST" || request.url?.split("?")[0] !== "/validate") {
    response.writeHead(404).end("Only POST /validate is served here\n");
    return;
  }
  const body = await readBody(request);
  if (body === undefined) {
    response.writeHead(413).end(`A body of at most ${BODY_BYTES_MAX} bytes is read\n`);
    return;
  }
  const answered = await answer(tryParse(body));
  if (answered === undefined) response.writeHead(400).end("An AdmissionReview of admission.k8s.io/v1 is expected\n");
  else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answered));
}

/** Undefined: too much, or broken off. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > BODY_BYTES_MAX) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString("utf8");
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

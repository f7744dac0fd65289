/**
 * The local API for those who are not on this node: HTTPS, and nothing without a ticket. `kubectl fairlead` comes by the API server's
 * proxy, which checks its own roles, but neither says who asks nor shows a certificate: whoever reaches this port could do the same.
 * So each request is checked here again (docs/decisions/015).
 */
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ListenAddress } from "../net/listen.ts";
import { answerRequest, endStream, refuse, type ApiHandlers } from "./api.ts";
import type { Log } from "./log.ts";

/** What a request wants: to read, or to change. */
export type Verb = "get" | "update";

/** Who shows this ticket, or why it opens nothing. Never rejects. */
export type Access = (
  ticket: string,
  verb: Verb,
) => Promise<
  { readonly status: 200; readonly user: string } | { readonly status: 401 | 403 | 429 | 503; readonly reason: string }
>;

/** The header of the ticket: the API server keeps `Authorization` to itself. */
export const TICKET_HEADER = "fairlead-ticket";

export interface RemoteApi {
  readonly certificate: { readonly cert: string; readonly key: string };
  readonly access: Access;
  readonly handlers: ApiHandlers;
  readonly log: Log;
  /** How often it is asked again whether who reads a stream still may. */
  readonly recheckMilliseconds?: number;
}

/** Beside the half minute for which a yes is remembered. */
const RECHECK_MS = 10_000;

/** What one host can hold of this agent. */
const CONNECTIONS_MAX = 128;
const REQUEST_MS_MAX = 10_000;

/** Rejects when it cannot listen there. */
export async function serveRemoteApi(listen: ListenAddress, api: RemoteApi): Promise<Server> {
  const server = createServer(
    {
      ...api.certificate,
      minVersion: "TLSv1.2",
      handshakeTimeout: REQUEST_MS_MAX,
      headersTimeout: REQUEST_MS_MAX,
      requestTimeout: REQUEST_MS_MAX,
      connectionsCheckingInterval: REQUEST_MS_MAX / 2,
    },
    (request, response) => void admit(api, request, response),
  );
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return server;
}

async function admit(
  { access, handlers, log, recheckMilliseconds = RECHECK_MS }: RemoteApi,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const ticket = request.headers[TICKET_HEADER];
  if (typeof ticket !== "string")
    return refuse(response, 401, `a ticket is needed in the header ${TICKET_HEADER}: \`kubectl fairlead\` gets one`);
  const changes = request.method !== "GET";
  const verb = changes ? "update" : "get";
  const admitted = await access(ticket, verb);
  if (admitted.status !== 200) return refuse(response, admitted.status, admitted.reason);
  // Reading changes nothing, and a status page would fill the log.
  if (changes) log("remoteChange", { user: admitted.user, method: request.method, path: request.url });
  answerRequest(handlers, request, response);
  endWithRight(response, () => access(ticket, verb), recheckMilliseconds);
}

/** A stream must not outlive the ticket that opened it, nor the right behind it. */
function endWithRight(response: ServerResponse, ask: () => ReturnType<Access>, everyMilliseconds: number): void {
  if (response.writableEnded) return;
  const look = async (): Promise<void> => {
    const found = await ask();
    // Where the API server cannot be asked, the ticket is good until its own end.
    if ((found.status === 401 || found.status === 403) && !response.writableEnded) endStream(response, found.reason);
  };
  const timer = setInterval(() => void look(), everyMilliseconds);
  response.once("close", () => clearInterval(timer));
}

/**
 * `/healthz` and `/readyz` for a kubelet, over TCP, as plain text. Healthy: this program's turn comes. Ready: it does its work; if not,
 * the answer says what it waits for. Neither depends on an API server that is there now: a restart would not bring it back.
 */
import type { Server } from "node:http";
import type { ListenAddress } from "../net/listen.ts";
import { listen } from "./api.ts";

/** Why not; `undefined`: it is. */
export type Readiness = () => string | undefined;

/** Rejects when it cannot listen there. */
export async function serveHealth(address: ListenAddress, readiness: Readiness): Promise<Server> {
  return listen(address, (request, response) => {
    const { status, text } = answerOf(request.method, request.url?.split("?")[0], readiness);
    response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
  });
}

function answerOf(
  method: string | undefined,
  path: string | undefined,
  readiness: Readiness,
): { readonly status: number; readonly text: string } {
  if (method !== "GET" && method !== "HEAD") return { status: 405, text: "Only GET is served here" };
  if (path === "/healthz") return { status: 200, text: "ok" };
  if (path !== "/readyz") return { status: 404, text: "Only /healthz and /readyz are here" };
  const waiting = readiness();
  return waiting === undefined ? { status: 200, text: "ok" } : { status: 503, text: `not ready: ${waiting}` };
}

/** Serves the API for `kubectl fairlead`, beside everything else: where it cannot, that is a problem in the status and is tried again. */
import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiHandlers } from "../observe/api.ts";
import type { Log } from "../observe/log.ts";
import { serveRemoteApi } from "../observe/remote-api.ts";
import { makeSelfSigned } from "../source/kubernetes/self-signed.ts";
import type { Agent } from "./agent.ts";
import type { AgentConfig } from "./config.ts";

const RETRY_MS = 30_000;

/** Returns the way to end it. */
export function startRemoteApi(
  { apiListen, nodeName }: AgentConfig,
  { access, state }: Pick<Agent, "access" | "state">,
  handlers: ApiHandlers,
  log: Log,
): () => void {
  if (apiListen === undefined || access === undefined) return () => {};
  const ended = new AbortController();
  let server: Server | undefined;
  const serve = async (): Promise<void> => {
    const certificate = await makeSelfSigned(nodeName);
    if (ended.signal.aborted) return;
    server = await serveRemoteApi(apiListen, { certificate, access, handlers, log });
    state.remoteApiProblems = [];
    if (ended.signal.aborted) close(server);
  };
  const keepTrying = async (): Promise<void> => {
    while (server === undefined && !ended.signal.aborted) {
      try {
        // One attempt after the other is the purpose.
        // oxlint-disable-next-line no-await-in-loop
        await serve();
      } catch (error) {
        const message = `cannot be served on port ${apiListen.port}: ${error instanceof Error ? error.message : String(error)}`;
        state.remoteApiProblems = [{ subject: "API for kubectl fairlead (--api-listen)", message }];
        // oxlint-disable-next-line no-await-in-loop
        await sleep(RETRY_MS, undefined, { signal: ended.signal, ref: false }).catch(() => {});
      }
    }
  };
  void keepTrying();
  return () => {
    ended.abort();
    if (server !== undefined) close(server);
  };
}

function close(server: Server): void {
  server.close();
  server.closeAllConnections();
}

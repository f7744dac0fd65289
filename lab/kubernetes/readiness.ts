/** Waiting for an API server. */
import { setTimeout as sleep } from "node:timers/promises";
import { openConnection, type Connection } from "../../src/source/kubernetes/connection.ts";
import type { ApiServer } from "../../src/source/kubernetes/credentials.ts";

/** The first start makes certificates, tables and roles; two busy cores need their time for it. */
const READY_MS_MAX = 120_000;

/** Resolves when it is ready. Rejects after two minutes, or when `ended` says that it never will be. */
export async function waitUntilReady(server: ApiServer, ended: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + READY_MS_MAX;
  while (performance.now() < giveUpAt && !ended()) {
    const connection = await tryConnect(server);
    const answer = await connection?.request({ method: "GET", path: "/readyz" }).catch(() => undefined);
    connection?.close();
    if (answer?.status === 200) return;
    await sleep(100);
  }
  throw new Error(`The API server at ${server.url.href} did not get ready`);
}

/** Undefined until it has written its certificate. */
function tryConnect(server: ApiServer): Promise<Connection | undefined> {
  return server.credentials().then(
    () => openConnection(server),
    () => undefined,
  );
}

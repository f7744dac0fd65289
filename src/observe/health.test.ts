import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { serveHealth, type Readiness } from "./health.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };

const rows: readonly {
  readonly what: string;
  readonly path: string;
  readonly waiting?: string;
  readonly method?: string;
  readonly status: number;
  readonly text: string;
}[] = [
  { what: "health", path: "/healthz", status: 200, text: "ok\n" },
  { what: "health while not ready", path: "/healthz", waiting: "objects", status: 200, text: "ok\n" },
  { what: "readiness", path: "/readyz", status: 200, text: "ok\n" },
  { what: "readiness with a query", path: "/readyz?verbose", status: 200, text: "ok\n" },
  {
    what: "why it is not ready",
    path: "/readyz",
    waiting: "objects are not read yet",
    status: 503,
    text: "not ready: objects are not read yet\n",
  },
  { what: "no other path", path: "/metrics", status: 404, text: "Only /healthz and /readyz are here\n" },
  { what: "nothing that changes", path: "/readyz", method: "POST", status: 405, text: "Only GET is served here\n" },
];

for (const { what, path, waiting, method = "GET", status, text } of rows) {
  test(`the health server answers ${what}`, async () => {
    const { url, close } = await serve(() => waiting);
    const response = await fetch(`${url}${path}`, { method });
    assert.deepEqual([response.status, await response.text()], [status, text]);
    close();
  });
}

test("the health server asks anew every time", async () => {
  let waiting: string | undefined = "a while";
  const { url, close } = await serve(() => waiting);
  assert.equal((await fetch(`${url}/readyz`)).status, 503);
  waiting = undefined;
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
  close();
});

test("the health server refuses a port that is taken", async () => {
  const { port, close } = await serve(() => undefined);
  await assert.rejects(
    serveHealth({ host: LOOPBACK.host, port }, () => undefined),
    /EADDRINUSE/,
  );
  close();
});

async function serve(
  readiness: Readiness,
): Promise<{ readonly url: string; readonly port: number; readonly close: () => void }> {
  const server = await serveHealth(LOOPBACK, readiness);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${LOOPBACK.host}:${port}`,
    port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A stream of an agent lasts as long as the ticket and the right that opened it: asked of a real API server, with the roles that we ship. */
import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { installRoles, makeNamespace } from "../../lab/kubernetes/objects.ts";
import type { ApiHandlers } from "../../src/observe/api.ts";
import { serveRemoteApi, TICKET_HEADER } from "../../src/observe/remote-api.ts";
import { ENDED_TRAILER } from "../../src/observe/status.ts";
import { SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import { openAccess } from "../../src/source/kubernetes/access.ts";
import { openConnection, type Connection } from "../../src/source/kubernetes/connection.ts";
import { makeSelfSigned } from "../../src/source/kubernetes/self-signed.ts";
import { audienceOf } from "../../src/source/kubernetes/ticket.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const AGENT = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-agent`;
const NODE = "worker1";
const VIEWER = { name: "fairlead-viewer", namespace: SYSTEM_NAMESPACE };

let server: TestApiServer;
let connection: Connection;
let agent: Awaited<ReturnType<typeof serveRemoteApi>>;
/** What the agent's clock is ahead: a yes is remembered for half a minute, which no test waits for. */
let ahead = 0;

before(async () => {
  server = await startApiServer([AGENT]);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  connection = openConnection(server.as(AGENT));
  const handlers = {
    monitor: (_: unknown, emit: (event: unknown) => void) => {
      const timer = setInterval(() => emit({ verdict: "forwarded" }), 20);
      return () => clearInterval(timer);
    },
  } as unknown as ApiHandlers;
  const now = (): number => Date.now() + ahead;
  agent = await serveRemoteApi(
    { host: "127.0.0.1", port: 0 },
    {
      certificate: await makeSelfSigned(NODE),
      access: openAccess({ connection, node: NODE, namespace: SYSTEM_NAMESPACE, now }),
      handlers,
      log: () => {},
      recheckMilliseconds: 100,
    },
  );
});
after(async () => {
  agent.closeAllConnections();
  agent.close();
  connection.close();
  await server.stop();
});
beforeEach(() => (ahead = 0));

/** Reads until the agent ends it. */
async function monitor(
  ticket: string,
): Promise<{ readonly status: number | undefined; readonly ended: Promise<string> }> {
  const address = agent.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const headers = { [TICKET_HEADER]: ticket };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asking = request({ host: "127.0.0.1", port, path: "/v1/monitor", headers, rejectUnauthorized: false });
    asking.on("response", resolve).on("error", reject).end();
  });
  return { status: response.statusCode, ended: response.toArray().then(() => response.trailers[ENDED_TRAILER] ?? "") };
}

const isOpen = (ended: Promise<string>): Promise<string> => Promise.race([ended, sleep(600, "open")]);

describe("a stream", () => {
  it("ends with its ticket", async () => {
    const { status, ended } = await monitor(await server.ticket(VIEWER, audienceOf(NODE), 4));
    assert.deepEqual([status, await isOpen(ended)], [200, "open"]);
    assert.match(await ended, /^the ticket expired at /);
  });

  it("ends when the right is taken away, and says whose and which", async () => {
    const { ended } = await monitor(await server.ticket(VIEWER, audienceOf(NODE), 600));
    assert.equal(await isOpen(ended), "open");
    const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${SYSTEM_NAMESPACE}/rolebindings`;
    const { body } = await server.admin.request({ method: "GET", path });
    const bindings = (body as { readonly items: readonly Binding[] }).items.filter(({ subjects = [] }) =>
      subjects.some(({ name }) => name === VIEWER.name),
    );
    assert.notEqual(bindings.length, 0);
    for (const { metadata } of bindings)
      await server.admin.request({ method: "DELETE", path: `${path}/${metadata.name}` });
    assert.equal(await isOpen(ended), "open", "a yes is remembered for a moment");
    ahead = 31_000;
    assert.match(
      await ended,
      /^system:serviceaccount:metallb-system:fairlead-viewer may not get agents.fairlead.io "worker1"/,
    );
    await installRoles(server.admin);
  });

  it("ends when its account is deleted", async () => {
    const { ended } = await monitor(await server.ticket(VIEWER, audienceOf(NODE), 600));
    assert.equal(await isOpen(ended), "open");
    const path = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/serviceaccounts/${VIEWER.name}`;
    assert.equal((await server.admin.request({ method: "DELETE", path })).status, 200);
    ahead = 31_000;
    assert.match(await ended, /^the API server does not accept the ticket/);
    await installRoles(server.admin);
  });

  it("goes on while the API server is away, until its ticket ends", async () => {
    const { ended } = await monitor(await server.ticket(VIEWER, audienceOf(NODE), 60));
    assert.equal(await isOpen(ended), "open");
    await server.stopServer();
    ahead = 31_000;
    assert.equal(await isOpen(ended), "open");
    ahead = 61_000;
    assert.match(await ended, /^the ticket expired at /);
    await server.startServer();
  });
});

interface Binding {
  readonly metadata: { readonly name: string };
  readonly subjects?: readonly { readonly name: string }[];
}

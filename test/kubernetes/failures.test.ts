/** What happens to the source when the API server, or what lies between, misbehaves. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SYSTEM_NAMESPACE, until } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import type { Source, StatusWriter } from "../../src/source/source.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";
import {
  installDefinitions,
  makeNamespace,
  putObject,
  removeObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { startProxy, type Proxy } from "./proxy.ts";

let server: TestApiServer;
let proxy: Proxy;
let source: Source & StatusWriter;
let count = 0;

before(async () => {
  server = await startApiServer([]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  proxy = await startProxy(server.as("admin"));
  source = openKubernetesSource({
    connection: openConnection(proxy.server, { pingMilliseconds: 300 }),
    namespace: SYSTEM_NAMESPACE,
    component: "fairlead-controller",
    instance: "test",
  });
  await source.ready;
});
after(async () => {
  await source.close();
  await proxy.close();
  await server.stop();
});
afterEach(async () => {
  proxy.interfere(undefined);
  proxy.mend();
  await until(source, ({ problems }) => problems.length === 0, "every problem to be solved");
});

/** A Service nobody has seen yet, made past the proxy. */
async function makeService(): Promise<string> {
  const name = `seen-${(count += 1)}`;
  await putObject(server.admin, serviceNamed(name));
  return `default/${name}`;
}

function serviceNamed(name: string): { readonly kind: string } & Readonly<Record<string, unknown>> {
  const spec = { type: "LoadBalancer", ports: [{ port: 80, protocol: "TCP" }] };
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec };
}

const seen = (key: string): Promise<unknown> => until(source, ({ services }) => services.has(key), key);
const said = (words: RegExp): Promise<unknown> =>
  until(source, ({ problems }) => problems.some(({ message }) => words.test(message)), String(words));

describe("a source, while the API server", () => {
  it("is cut off, keeps what it read, says so, and learns what changed meanwhile", async () => {
    const before = await makeService();
    await seen(before);
    proxy.cut();
    const meanwhile = await makeService();
    await removeObject(server.admin, serviceNamed(before.slice("default/".length)));
    await said(/cannot be reached.*what was last read stays in force/);
    assert.ok(source.snapshot().services.has(before));
    proxy.mend();
    await seen(meanwhile);
    await until(source, ({ services }) => !services.has(before), "the removal");
  });

  it("is silent without a word, notices it", async () => {
    proxy.fallSilent();
    await said(/ping/);
    proxy.mend();
    await seen(await makeService());
  });

  it("is killed and started again, goes on where it was", async () => {
    await server.stopServer();
    await said(/cannot be reached/);
    await server.startServer();
    await seen(await makeService());
  });

  it("answers that a watch is too old, lists again", async () => {
    const lists = proxy.requests.filter((request) => request.startsWith("GET /api/v1/services?limit")).length;
    proxy.inject('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}');
    await seen(await makeService());
    const after = proxy.requests.filter((request) => request.startsWith("GET /api/v1/services?limit")).length;
    assert.equal(after, lists + 1);
  });

  const refusals: readonly (readonly [number, string, RegExp])[] = [
    [429, '{"message":"too many requests"}', /asks for patience \(429\): too many requests/],
    [500, '{"message":"etcdserver: leader changed"}', /answers 500: etcdserver: leader changed/],
    [503, "<html>overloaded</html>", /answers 503: <html>overloaded/],
    [401, '{"message":"Unauthorized"}', /does not know us \(401\)/],
    [403, '{"message":"services is forbidden"}', /services is forbidden \(403\); give this program the role/],
    [404, '{"message":"not found"}', /install the custom resource definitions/],
  ];
  for (const [status, body, words] of refusals)
    it(`answers ${status}, says what that means and keeps what it read`, async () => {
      const key = await makeService();
      await seen(key);
      proxy.interfere(() => ({ status, body, headers: { "retry-after": "1" } }));
      proxy.cut();
      proxy.mend();
      await said(words);
      assert.ok(source.snapshot().services.has(key));
      proxy.interfere(undefined);
      await seen(await makeService());
    });

  it("says nonsense in a watch, begins the watch anew", async () => {
    proxy.inject("<html>");
    await seen(await makeService());
    proxy.inject('{"type":"MODIFIED","object":{"metadata":{"name":"x"}}}');
    await seen(await makeService());
  });

  it("answers lists with nonsense, keeps what it read", async () => {
    const key = await makeService();
    await seen(key);
    proxy.interfere((_, path) => (path.includes("limit=") ? { status: 200, body: '{"items":{}}' } : undefined));
    proxy.inject('{"type":"ERROR","object":{"code":410}}');
    await said(/answered a list with something else/);
    assert.ok(source.snapshot().services.has(key));
  });
});

describe("a source that begins", () => {
  it("says which kinds it has not read, until it has", async () => {
    const key = await makeService();
    proxy.interfere((_, path) =>
      path.includes("/l2advertisements") ? { status: 500, body: '{"message":"not now"}' } : undefined,
    );
    const begun = openKubernetesSource({
      connection: openConnection(proxy.server, { pingMilliseconds: 300 }),
      namespace: SYSTEM_NAMESPACE,
      component: "fairlead-controller",
      instance: "begun",
    });
    try {
      const { unread } = await until(begun, ({ unread: left }) => left.size === 1, "all kinds but one");
      assert.deepEqual([[...unread], begun.snapshot().services.has(key)], [["l2Advertisements"], true]);
      proxy.interfere(undefined);
      await until(begun, ({ unread: left }) => left.size === 0, "the last kind");
    } finally {
      await begun.close();
    }
  });
});

describe("an API server that knows no selector of Services by their type", () => {
  const BY_TYPE = "fieldSelector=spec.type";
  const rows: readonly (readonly [string, (path: string) => boolean])[] = [
    ["refuses to list by it", (path) => path.includes(BY_TYPE)],
    ["lists by it, and refuses to watch", (path) => path.includes(BY_TYPE) && path.includes("watch=true")],
  ];
  for (const [what, isRefused] of rows)
    it(`${what} (400): is asked for all Services, and nothing is missed or named a problem`, async () => {
      const earlier = await makeService();
      const body = '{"kind":"Status","message":"field label not supported: spec.type"}';
      let refused = 0;
      proxy.interfere((_, path) => {
        if (!decodeURIComponent(path).includes("/services") || !isRefused(decodeURIComponent(path))) return undefined;
        refused += 1;
        return { status: 400, body };
      });
      await using opened = new AsyncDisposableStack();
      const agent = openKubernetesSource({
        connection: openConnection(proxy.server, { pingMilliseconds: 300 }),
        namespace: SYSTEM_NAMESPACE,
        component: "fairlead-agent",
        instance: "old",
      });
      opened.defer(() => agent.close());
      await until(agent, ({ complete, services }) => complete && services.has(earlier), "everything");
      // Of another type: the agent is told of all, and has to know what they are.
      const name = `internal-${(count += 1)}`;
      const spec = { type: "ClusterIP", ports: [{ port: 80, protocol: "TCP" }] };
      await putObject(server.admin, { ...serviceNamed(name), spec } as Manifest);
      await until(agent, ({ services }) => services.get(`default/${name}`)?.spec.type === "ClusterIP", name);
      const later = await makeService();
      await until(agent, ({ services }) => services.has(later), later);
      await removeObject(server.admin, serviceNamed(later.slice("default/".length)));
      await until(agent, ({ services }) => !services.has(later), "its end");
      assert.deepEqual(agent.snapshot().problems, []);
      assert.equal(refused, 1, "it is not asked so again");
    });
});

describe("an object that cannot be read", () => {
  const pool = (addresses: unknown): { readonly kind: string } & Readonly<Record<string, unknown>> => ({
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata: { name: "odd", namespace: SYSTEM_NAMESPACE },
    spec: { addresses },
  });
  /** As another version of the CRD would let it through. */
  const inject = async (type: string, object: unknown): Promise<void> => {
    // A list comes before its watch.
    const giveUpAt = performance.now() + 10_000;
    while (!proxy.inject(JSON.stringify({ type, object }), "ipaddresspools")) {
      if (performance.now() > giveUpAt) throw new Error("Nobody watches pools");
      await sleep(20);
    }
  };

  it("keeps its last form, and is named with its field", async () => {
    await putObject(server.admin, pool(["192.0.2.0/24"]));
    const key = `${SYSTEM_NAMESPACE}/odd`;
    await until(source, ({ ipAddressPools }) => ipAddressPools.has(key), "the pool");
    const broken = pool([5]);
    const metadata = { ...(broken["metadata"] as object), resourceVersion: "99999999", uid: "other" };
    await inject("MODIFIED", { ...broken, metadata });
    await said(/string.*what was last read of it stays in force/);
    assert.deepEqual(source.snapshot().ipAddressPools.get(key)?.spec.addresses, ["192.0.2.0/24"]);
    // The next list is the truth again.
    await inject("ERROR", { code: 410 });
    await until(source, ({ problems }) => problems.length === 0, "the truth");
  });
});

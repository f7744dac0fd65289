/** The controller as it is installed: several replicas, with the rights of its role and no others. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { SYSTEM_NAMESPACE, until } from "../../src/source/contract.fixture.ts";
import { openConnection, type Connection } from "../../src/source/kubernetes/connection.ts";
import { openNodeStatus } from "../../src/source/kubernetes/node-status.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import type { Source, StatusWriter } from "../../src/source/source.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  pathOf,
  putObject,
  readObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { startProxy } from "./proxy.ts";
import { runReplica, type Replica } from "./replica.ts";

const CONTROLLER = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-controller`;
const AGENT = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-agent`;

let folder: string;
let server: TestApiServer;
let observer: Source & StatusWriter;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-controllers-"));
  server = await startApiServer([CONTROLLER, AGENT]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  await putObject(server.admin, pool("demo", "192.0.2.0/28"));
  observer = openKubernetesSource({
    connection: openConnection(server.as("admin")),
    namespace: SYSTEM_NAMESPACE,
    component: "observer",
    instance: "test",
  });
  await observer.ready;
});
after(async () => {
  await observer.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

function pool(name: string, range: string): Manifest & { readonly spec: unknown } {
  const metadata = { name, namespace: SYSTEM_NAMESPACE };
  return { apiVersion: "metallb.io/v1beta1", kind: "IPAddressPool", metadata, spec: { addresses: [range] } };
}

function service(name: string, more: Readonly<Record<string, unknown>> = {}): Manifest & { readonly spec: unknown } {
  const spec = { type: "LoadBalancer", ports: [{ port: 80, protocol: "TCP" }], ...more };
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec };
}

const startReplica = (identity: string, apiServer = server.as(CONTROLLER)): Promise<Replica> =>
  runReplica(folder, identity, apiServer);

const addressOf = async (name: string): Promise<string> => {
  const key = `default/${name}`;
  const given = await until(
    observer,
    ({ services }) => services.get(key)?.status.loadBalancer.ingress[0]?.ip !== undefined,
    `an address for ${name}`,
  );
  return given.services.get(key)?.status.loadBalancer.ingress[0]?.ip ?? "";
};

const holder = async (): Promise<string> => {
  const lease = await readObject(server.admin, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "fairlead-controller", namespace: SYSTEM_NAMESPACE },
  });
  return (lease["spec"] as { readonly holderIdentity?: string }).holderIdentity ?? "";
};

describe("controllers with the role that is made for them", () => {
  it("give a Service an address, say where it is from, count it and tell it in an event", async () => {
    const replica = await startReplica("alone");
    await putObject(server.admin, service("first"));
    const address = await addressOf("first");
    const { services, ipAddressPools } = await until(
      observer,
      (all) => all.ipAddressPools.get(`${SYSTEM_NAMESPACE}/demo`)?.status?.assignedIPv4 === 1,
      "the count",
    );
    assert.equal(address, "192.0.2.0");
    const found = services.get("default/first");
    assert.deepEqual(found?.status.loadBalancer.ingress, [{ ip: address, ipMode: "VIP" }]);
    assert.equal(found.metadata.annotations["metallb.io/ip-allocated-from-pool"], "demo");
    assert.equal(ipAddressPools.get(`${SYSTEM_NAMESPACE}/demo`)?.status?.availableIPv4, 15);
    const events = await server.admin.request({
      method: "GET",
      path: "/apis/events.k8s.io/v1/namespaces/default/events",
    });
    const { items } = events.body as { readonly items: readonly Readonly<Record<string, unknown>>[] };
    assert.deepEqual(
      items.map(({ reason, note, type, reportingController }) => ({ reason, note, type, reportingController })),
      [
        {
          reason: "IPAllocated",
          note: 'Assigned IP ["192.0.2.0"]',
          type: "Normal",
          reportingController: "fairlead-controller",
        },
      ],
    );
    await replica.stop();
  });

  it("write nothing when they start and nothing is different", async () => {
    const before = await readObject(server.admin, service("first"));
    const replica = await startReplica("again");
    await putObject(server.admin, service("marker"));
    await addressOf("marker");
    await replica.stop();
    assert.deepEqual(await readObject(server.admin, service("first")), before);
  });

  it("never touch a Service of another class", async () => {
    await putObject(server.admin, service("foreign", { loadBalancerClass: "example.com/other" }));
    const before = await readObject(server.admin, service("foreign"));
    const replica = await startReplica("class");
    await putObject(server.admin, service("after-foreign"));
    await addressOf("after-foreign");
    await replica.stop();
    assert.deepEqual(await readObject(server.admin, service("foreign")), before);
  });

  it("leave conditions and annotations of others alone", async () => {
    await putObject(server.admin, service("mixed"));
    const condition = {
      type: "example.com/Ready",
      status: "True",
      reason: "Fine",
      message: "",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    const path = `${pathOf(service("mixed"))}/status`;
    const body = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "mixed", annotations: { "example.com/a": "b" } },
      status: { conditions: [condition] },
    };
    await server.admin.request({
      method: "PATCH",
      path,
      query: { fieldManager: "other" },
      contentType: "application/apply-patch+yaml",
      body,
    });
    const replica = await startReplica("mixed");
    await addressOf("mixed");
    await replica.stop();
    const { status, metadata } = observer.snapshot().services.get("default/mixed") ?? assert.fail();
    assert.ok(status.conditions.some(({ type }) => type === "example.com/Ready"));
    assert.equal(metadata.annotations["example.com/a"], "b");
  });
});

describe("of two controllers", () => {
  it("one acts; when it is cut off the other does, and no address changes", async () => {
    const proxy = await startProxy(server.as(CONTROLLER));
    await using replicas = new AsyncDisposableStack();
    replicas.defer(() => proxy.close());
    const first = await startReplica("first", proxy.server);
    replicas.defer(() => first.stop());
    await putObject(server.admin, service("held"));
    const address = await addressOf("held");
    assert.equal(await holder(), "first");
    const second = await startReplica("second");
    replicas.defer(() => second.stop());
    proxy.cut();
    await putObject(server.admin, service("waiting"));
    await addressOf("waiting");
    assert.equal(await holder(), "second");
    assert.equal(await addressOf("held"), address);
    proxy.mend();
    await putObject(server.admin, service("later"));
    await addressOf("later");
    assert.equal(await holder(), "second", "who comes back does not push");
    await second.stop();
    assert.equal(await holder(), "", "who stops gives it back");
  });

  it("none can write over what the other has decided meanwhile", async () => {
    const open = (): Source & StatusWriter =>
      openKubernetesSource({
        connection: openConnection(server.as(CONTROLLER)),
        namespace: SYSTEM_NAMESPACE,
        component: "fairlead-controller",
        instance: "test",
      });
    await putObject(server.admin, service("fought"));
    const proxy = await startProxy(server.as(CONTROLLER));
    const stale = openKubernetesSource({
      connection: openConnection(proxy.server),
      namespace: SYSTEM_NAMESPACE,
      component: "fairlead-controller",
      instance: "stale",
    });
    const fresh = open();
    await until(stale, ({ services }) => services.has("default/fought"), "the Service");
    await until(fresh, ({ services }) => services.has("default/fought"), "the Service");
    // From here the first one's watches are refused, but not its writes.
    proxy.interfere((method) => (method === "GET" ? { status: 500, body: "{}" } : undefined));
    proxy.cut();
    proxy.mend();
    // A write over the connection that was just cut would fail for that reason.
    await until(stale, ({ problems }) => problems.some(({ message }) => message.includes("500")), "the refusal");
    const write = (ip: string): Parameters<StatusWriter["writeService"]>[1] => ({
      ingress: [{ ip, ipMode: "VIP" }],
      conditions: [],
      annotations: {},
    });
    await fresh.writeService("default/fought", write("192.0.2.1"));
    await assert.rejects(
      stale.writeService("default/fought", write("192.0.2.2")),
      /changed by somebody else meanwhile/,
    );
    assert.equal(await addressOf("fought"), "192.0.2.1");
    await stale.close();
    await fresh.close();
    await proxy.close();
  });
});

describe("roles", () => {
  const attempts: readonly (readonly [string, string, Parameters<Connection["request"]>[0]])[] = [
    ["an agent changes an address", AGENT, patch(`${pathOf(service("first"))}/status`)],
    ["an agent changes a pool", AGENT, patch(pathOf(pool("demo", "")))],
    ["an agent reads Secrets of others", AGENT, { method: "GET", path: "/api/v1/namespaces/default/secrets" }],
    [
      "a controller reads Secrets",
      CONTROLLER,
      { method: "GET", path: `/api/v1/namespaces/${SYSTEM_NAMESPACE}/secrets` },
    ],
    ["a controller changes the spec of a Service", CONTROLLER, patch(pathOf(service("first")))],
    ["a controller deletes a Service", CONTROLLER, { method: "DELETE", path: pathOf(service("first")) }],
    ["a controller changes a pool", CONTROLLER, patch(pathOf(pool("demo", "")))],
  ];
  for (const [what, user, request] of attempts)
    it(`forbid that ${what}`, async () => {
      const connection = openConnection(server.as(user));
      assert.equal((await connection.request(request)).status, 403);
      connection.close();
    });

  it("let an agent read all it needs, and say what its node does", async () => {
    const connection = openConnection(server.as(AGENT));
    const source = openKubernetesSource({
      connection,
      namespace: SYSTEM_NAMESPACE,
      component: "fairlead-agent",
      instance: "worker1",
    });
    const { problems } = await until(source, ({ complete }) => complete, "everything to be read");
    assert.deepEqual(problems, []);
    const pod = { name: "fairlead-agent-x", uid: "5f0c1b1e-0000-4000-8000-000000000001" };
    const status = openNodeStatus({ connection, namespace: SYSTEM_NAMESPACE, node: "worker1", pod });
    await status.writeL2Status("default/first", { interfaces: ["eth0"] });
    await status.writeConfigurationState({ result: "Valid", errorSummary: "", conditions: [] });
    await status.writeEvent({
      regarding: { kind: "Service", namespace: "default", name: "first" },
      type: "Normal",
      reason: "nodeAssigned",
      message: 'announcing from node "worker1" with protocol "layer2"',
    });
    const reopened = openNodeStatus({ connection, namespace: SYSTEM_NAMESPACE, node: "worker1", pod });
    const other = openNodeStatus({ connection, namespace: SYSTEM_NAMESPACE, node: "worker2" });
    assert.deepEqual(await known(reopened), [["default/first", { interfaces: ["eth0"] }]]);
    assert.deepEqual(await known(other), []);
    await status.writeBgpStatus("default/first", { peers: ["tor"] });
    assert.deepEqual(await other.silentAbout("default/first", ["worker1", "worker2"]), ["worker2"]);
    assert.deepEqual(await other.silentAbout("default/second", ["worker1"]), ["worker1"]);
    await status.writeBgpStatus("default/first", undefined);
    assert.deepEqual(await other.silentAbout("default/first", ["worker1"]), ["worker1"]);
    await status.writeL2Status("default/first", undefined);
    await status.writeL2Status("default/first", undefined);
    for (const each of [status, reopened, other]) await each.close();
    await source.close();
  });
});

function patch(path: string): Parameters<Connection["request"]>[0] {
  return {
    method: "PATCH",
    path,
    contentType: "application/merge-patch+json",
    body: { metadata: { labels: { a: "b" } } },
  };
}

async function known(status: ReturnType<typeof openNodeStatus>): Promise<readonly (readonly [string, unknown])[]> {
  for (;;) {
    const statuses = status.l2Statuses();
    if (statuses !== undefined) return [...statuses];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What nobody should have written and an API server holds all the same: each is named, and everything else goes on. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  pathOf,
  putObject,
  readObject,
  removeObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { formatProblem } from "../../src/net/problem.ts";
import { SYSTEM_NAMESPACE, until } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import type { Snapshot, Source, StatusWriter } from "../../src/source/source.ts";
import { freePort, startApiServer, type TestApiServer } from "./api-server.ts";
import { CRDS, loosen, removeDefinition } from "./definitions.ts";
import { runReplica, type Replica } from "./replica.ts";

const CONTROLLER = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-controller`;
const AGENT = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-agent`;
const ALPHA = "metallb.io/v1beta1";

let folder: string;
let server: TestApiServer;
let source: Source & StatusWriter;

const openSource = (): Source & StatusWriter =>
  openKubernetesSource({
    connection: openConnection(server.as(AGENT)),
    namespace: SYSTEM_NAMESPACE,
    component: "fairlead-agent",
    instance: "test",
  });

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-bad-input-"));
  server = await startApiServer([CONTROLLER, AGENT]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  await putObject(server.admin, configured("IPAddressPool", "demo", { addresses: ["192.0.2.0/28"] }));
  source = openSource();
  await source.ready;
});
after(async () => {
  await source.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

type Written = Manifest & Readonly<Record<string, unknown>>;

function configured(kind: string, name: string, spec: unknown, apiVersion = ALPHA): Written {
  return { apiVersion, kind, metadata: { name, namespace: SYSTEM_NAMESPACE }, spec };
}

function service(name: string, annotations: Readonly<Record<string, string>> = {}, type = "LoadBalancer"): Written {
  const metadata = { name, namespace: "default", annotations };
  return { apiVersion: "v1", kind: "Service", metadata, spec: { type, ports: [{ port: 80, protocol: "TCP" }] } };
}

const addressIn = ({ services }: Snapshot, name: string): string | undefined =>
  services.get(`default/${name}`)?.status.loadBalancer.ingress[0]?.ip;

const addressOf = async (name: string): Promise<string> =>
  addressIn(await until(source, (all) => addressIn(all, name) !== undefined, `an address for ${name}`), name) ?? "";

const said = (words: RegExp): Promise<Snapshot> =>
  until(source, ({ problems }) => problems.some((problem) => words.test(formatProblem(problem))), String(words));

describe("objects that another version of the CRDs let in", () => {
  let restore: () => Promise<void>;
  before(async () => {
    restore = await loosen(server.admin, CRDS, () =>
      putObject(server.admin, configured("IPAddressPool", "probe", { addresses: [5] })),
    );
    await removeObject(server.admin, configured("IPAddressPool", "probe", {}));
  });
  after(() => restore());

  const rows: readonly (readonly [string, Written, RegExp])[] = [
    [
      "a pool with a text for a list",
      configured("IPAddressPool", "odd", { addresses: "10.0.0.0/8" }),
      /spec\.addresses/,
    ],
    ["a pool of numbers", configured("IPAddressPool", "odd", { addresses: [5] }), /spec\.addresses\[0\]/],
    ["a pool without a spec", configured("IPAddressPool", "odd", undefined), /spec/],
    ["an L2Advertisement of a text", configured("L2Advertisement", "odd", "all"), /spec/],
    ["selectors that are none", configured("L2Advertisement", "odd", { nodeSelectors: {} }), /spec\.nodeSelectors/],
    ["an AS in words", configured("BGPPeer", "odd", { peerASN: "many" }, "metallb.io/v1beta2"), /spec\.peerASN/],
    ["a community of a map", configured("BGPAdvertisement", "odd", { communities: [{}] }), /spec\.communities\[0\]/],
    ["an interval in words", configured("BFDProfile", "odd", { receiveInterval: "fast" }), /spec\.receiveInterval/],
    ["aliases of a text", configured("Community", "odd", { communities: "none" }), /spec\.communities/],
  ];
  for (const [what, object, words] of rows)
    it(`${what}: named, and the others stay`, async () => {
      await putObject(server.admin, object);
      await said(new RegExp(`^${object.kind} ${SYSTEM_NAMESPACE}/odd: ${words.source}`));
      assert.ok(source.snapshot().ipAddressPools.has(`${SYSTEM_NAMESPACE}/demo`));
      assert.equal(source.snapshot().complete, false, "what it says might be anything");
      await removeObject(server.admin, object);
      await until(source, ({ problems, complete }) => problems.length === 0 && complete, "its end");
    });

  it("fields of a later version: left out, and nothing else", async () => {
    const spec = { addresses: ["198.51.100.0/24"], later: { deeply: [1, { nested: null }] }, autoAssign: false };
    await putObject(server.admin, { ...configured("IPAddressPool", "later", spec), extra: "field" } as Manifest);
    const key = `${SYSTEM_NAMESPACE}/later`;
    const { ipAddressPools, problems } = await until(source, (all) => all.ipAddressPools.has(key), "the pool");
    assert.deepEqual(problems, []);
    assert.deepEqual(ipAddressPools.get(key)?.spec, {
      addresses: ["198.51.100.0/24"],
      autoAssign: false,
      avoidBuggyIPs: false,
    });
    await removeObject(server.admin, configured("IPAddressPool", "later", spec));
  });

  it("a status half written: named, the pool is used, also by who reads it first then, and the controller mends it", async () => {
    const object = configured("IPAddressPool", "half", { addresses: ["203.0.113.0/28"], autoAssign: false });
    await putObject(server.admin, object);
    const body = { status: { assignedIPv4: "many", conditions: { odd: true } } };
    const contentType = "application/merge-patch+json";
    await server.admin.request({ method: "PATCH", path: `${pathOf(object)}/status`, contentType, body });
    await said(/^IPAddressPool metallb-system\/half: status\.assignedIPv4: .*its status counts as absent/);
    await using fresh = new AsyncDisposableStack();
    const second = openSource();
    fresh.defer(() => second.close());
    const { ipAddressPools } = await until(second, ({ complete }) => complete, "everything");
    assert.deepEqual(ipAddressPools.get(`${SYSTEM_NAMESPACE}/half`)?.spec.addresses, ["203.0.113.0/28"]);
    const replica = await runReplica(folder, "mending", server.as(CONTROLLER));
    fresh.defer(() => replica.stop());
    await until(source, ({ problems }) => problems.length === 0, "the status to be mended");
    assert.equal(source.snapshot().ipAddressPools.get(`${SYSTEM_NAMESPACE}/half`)?.status?.availableIPv4, 16);
  });
});

describe("a controller among bad input", () => {
  let replica: Replica;
  let metrics: string;
  before(async () => {
    metrics = `127.0.0.1:${await freePort()}`;
    replica = await runReplica(folder, "steady", server.as(CONTROLLER), { metricsListen: metrics });
  });
  after(() => replica.stop());

  const number = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://${metrics}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  };

  it("a Service that changes its type a thousand times has an address at the end, and nobody else lost one", async () => {
    await putObject(server.admin, service("neighbour"));
    const address = await addressOf("neighbour");
    const before = await readObject(server.admin, service("neighbour"));
    await putObject(server.admin, service("flapping"));
    const contentType = "application/merge-patch+json";
    const turn = (type: string): Promise<{ readonly status: number }> =>
      server.admin.request({
        method: "PATCH",
        path: pathOf(service("flapping")),
        contentType,
        body: { spec: { type } },
      });
    for (let n = 0; n < 500; n += 1)
      for (const type of ["ClusterIP", "LoadBalancer"]) assert.equal((await turn(type)).status, 200);
    await addressOf("flapping");
    const counted = ({ ipAddressPools }: Snapshot): boolean =>
      ipAddressPools.get(`${SYSTEM_NAMESPACE}/demo`)?.status?.assignedIPv4 === 2;
    await until(source, counted, "two addresses in use", 30_000);
    assert.notEqual(await addressOf("flapping"), address);
    assert.deepEqual(await readObject(server.admin, service("neighbour")), before, "nothing was written there");
    await turn("ClusterIP");
    await until(source, (all) => addressIn(all, "flapping") === undefined, "its address to be given back");
  });

  it("an annotation of a quarter of a megabyte is in nobody's way", async () => {
    await putObject(server.admin, service("large", { "example.com/blob": "x".repeat(250_000) }));
    await addressOf("large");
  });

  it("a Service with no room for another annotation is counted, waits alone, and is served when there is room", async () => {
    const failed = await number("fairlead_controller_failed_writes_total");
    // All keys and values together: 256 KiB.
    const room = 262_144 - "example.com/blob".length;
    await putObject(server.admin, service("full", { "example.com/blob": "x".repeat(room) }));
    await putObject(server.admin, service("beside"));
    await addressOf("beside");
    while ((await number("fairlead_controller_failed_writes_total")) === failed) await sleep(20);
    assert.equal(addressIn(source.snapshot(), "full"), undefined);
    await putObject(server.admin, service("full", { "example.com/blob": "x" }));
    await addressOf("full");
  });

  it("conditions without a time, and entries without an address, are read", async () => {
    await putObject(server.admin, service("sketchy", {}, "ClusterIP"));
    const condition = { type: "example.com/Odd", status: "True", reason: "R", message: "", lastTransitionTime: null };
    const body = { status: { conditions: [condition] } };
    const request = { path: `${pathOf(service("sketchy"))}/status`, contentType: "application/merge-patch+json", body };
    await server.admin.request({ method: "PATCH", ...request });
    await putObject(server.admin, service("sketchy"));
    await addressOf("sketchy");
    assert.deepEqual(source.snapshot().problems, []);
  });

  it("counts what it cannot read", async () => {
    const restore = await loosen(server.admin, ["ipaddresspools.metallb.io"], () =>
      putObject(server.admin, configured("IPAddressPool", "counted", { addresses: [5] })),
    );
    while ((await number("fairlead_controller_problems")) === 0) await sleep(20);
    assert.equal(await number("fairlead_controller_problems"), 1);
    await removeObject(server.admin, configured("IPAddressPool", "counted", {}));
    await restore();
    while ((await number("fairlead_controller_problems")) > 0) await sleep(20);
  });
});

describe("definitions of another release", () => {
  it("without ConfigurationState: a controller gives addresses and says what it cannot write, until there is one", async () => {
    await removeDefinition(server.admin, "configurationstates.metallb.io");
    const listen = `127.0.0.1:${await freePort()}`;
    await using stack = new AsyncDisposableStack();
    const replica = await runReplica(folder, "older", server.as(CONTROLLER), { metricsListen: listen });
    stack.defer(() => replica.stop());
    const problems = async (): Promise<number> => {
      const text = await (await fetch(`http://${listen}/metrics`)).text();
      return Number(/^fairlead_controller_problems (\S+)$/m.exec(text)?.[1]);
    };
    await putObject(server.admin, service("older"));
    await addressOf("older");
    while ((await problems()) === 0) await sleep(50);
    await installDefinitions(server.admin);
    while ((await problems()) > 0) await sleep(50);
    const path = `/apis/${ALPHA}/namespaces/${SYSTEM_NAMESPACE}/configurationstates/controller`;
    while ((await server.admin.request({ method: "GET", path })).status !== 200) await sleep(50);
    await removeObject(server.admin, service("older"));
  });
});

describe("a Lease by another clock", () => {
  const lease = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" };
  const metadata = { name: "fairlead-controller", namespace: SYSTEM_NAMESPACE };
  const path = pathOf({ ...lease, metadata });
  const HOUR_MS = 3_600_000;

  const hold = async (identity: string, skewMilliseconds: number): Promise<void> => {
    const renewTime = new Date(Date.now() + skewMilliseconds).toISOString().replace("Z", "000Z");
    const spec = { holderIdentity: identity, leaseDurationSeconds: 3, renewTime, acquireTime: renewTime };
    await putObject(server.admin, { ...lease, metadata, spec } as Manifest);
  };
  const holder = async (): Promise<string> => {
    const { body } = await server.admin.request({ method: "GET", path });
    return (body as { readonly spec: { readonly holderIdentity: string } }).spec.holderIdentity;
  };

  it("of a holder that is gone, an hour ahead: taken over all the same", async () => {
    await hold("dead", HOUR_MS);
    await using replica = new AsyncDisposableStack();
    const mine = await runReplica(folder, "heir", server.as(CONTROLLER));
    replica.defer(() => mine.stop());
    await putObject(server.admin, service("inherited"));
    await addressOf("inherited");
    assert.equal(await holder(), "heir");
  });

  it("of a holder that lives, an hour behind: left to it until it renews no more", async () => {
    await hold("slow", -HOUR_MS);
    await using replica = new AsyncDisposableStack();
    const mine = await runReplica(folder, "patient", server.as(CONTROLLER));
    replica.defer(() => mine.stop());
    for (let n = 0; n < 20; n += 1) {
      await sleep(300);
      assert.equal(await holder(), "slow", `after ${n} renewals`);
      await hold("slow", -HOUR_MS + n);
    }
    while ((await holder()) !== "patient") await sleep(50);
  });
});

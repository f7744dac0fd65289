/** What an agent makes of it when it is not known any more, may not read any more, or finds other kinds than its own. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  putObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { formatProblem } from "../../src/net/problem.ts";
import { SYSTEM_NAMESPACE, until } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import type { ApiServer } from "../../src/source/kubernetes/credentials.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import type { Snapshot, Source } from "../../src/source/source.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";
import { redefine, removeDefinition } from "./definitions.ts";
import { startProxy, type Proxy } from "./proxy.ts";

const AGENT = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-agent`;
/** A right that is given back is noticed within ten seconds; a slow machine gets more. */
const PATIENCE_MS = 30_000;

let server: TestApiServer;
let proxy: Proxy;
let source: Source;
let count = 0;

before(async () => {
  server = await startApiServer([AGENT]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  await putObject(server.admin, configured("Community", { communities: [{ name: "blackhole", value: "65535:666" }] }));
  await putObject(
    server.admin,
    configured("BGPPeer", { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1" }, "metallb.io/v1beta2"),
  );
  proxy = await startProxy(server.as(AGENT));
  source = openSource(proxy.server);
  await until(source, ({ complete }) => complete, "everything");
});
after(async () => {
  await source.close();
  await proxy.close();
  await server.stop();
});

function openSource(apiServer: ApiServer): Source {
  const connection = openConnection(apiServer);
  const identity = { namespace: SYSTEM_NAMESPACE, component: "fairlead-agent", instance: "test" };
  return openKubernetesSource({ connection, ...identity });
}

function configured(kind: string, spec: unknown, apiVersion = "metallb.io/v1beta1"): Manifest {
  return { apiVersion, kind, metadata: { name: "kept", namespace: SYSTEM_NAMESPACE }, spec } as Manifest;
}

async function makeService(): Promise<string> {
  const name = `seen-${(count += 1)}`;
  const spec = { type: "LoadBalancer", ports: [{ port: 80, protocol: "TCP" }] };
  await putObject(server.admin, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec,
  } as Manifest);
  return `default/${name}`;
}

const texts = ({ problems }: Snapshot): readonly string[] => problems.map(formatProblem);

/** Watches that are open go on; a connection that breaks is the next time somebody asks who we are. */
async function untilSaid(words: RegExp, by = source): Promise<Snapshot> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const snapshot = by.snapshot();
    if (texts(snapshot).some((text) => words.test(text))) return snapshot;
    assert.ok(performance.now() < giveUpAt, `waited for ${words}; problems: ${texts(snapshot).join("\n")}`);
    proxy.cut();
    proxy.mend();
    await sleep(500);
  }
}

/** What was there is, and what is made now is seen. */
async function isWell(by = source): Promise<void> {
  await until(by, (all) => all.problems.length === 0 && all.complete, "the end of all problems", PATIENCE_MS);
  const key = await makeService();
  await until(by, ({ services }) => services.has(key), key, PATIENCE_MS);
}

describe("a token", () => {
  it("that ends is named, what was read stays, and the next one is taken at once", async () => {
    let current = await server.asServiceAccount("fairlead-agent", SYSTEM_NAMESPACE, 3);
    const short = openConnection(current);
    assert.equal((await short.request({ method: "GET", path: "/api/v1/services" })).status, 200, "it is good at first");
    short.close();
    await using opened = new AsyncDisposableStack();
    const own = openSource({ ...proxy.server, credentials: () => current.credentials() });
    opened.defer(() => own.close());
    const before = await until(own, ({ complete }) => complete, "everything");
    const said = await untilSaid(/does not know us \(401\).*is the token or certificate still valid/, own);
    assert.equal(said.services.size, before.services.size);
    assert.equal(said.bgpPeers.size, 1);
    assert.ok(texts(said).some((text) => text.includes("what was last read stays in force")));
    current = await server.asServiceAccount("fairlead-agent", SYSTEM_NAMESPACE, 600);
    await isWell(own);
  });
});

describe("rights", () => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    [
      "of the cluster",
      "/clusterrolebindings/fairlead-agent",
      /^Kubernetes: .*services.*forbidden.*\(403\); give this program/,
    ],
    [
      "in our namespace",
      `/namespaces/${SYSTEM_NAMESPACE}/rolebindings/fairlead-agent`,
      /^Kubernetes: .*bgppeers.*forbidden.*\(403\); give this program/,
    ],
  ];
  for (const [where, path, words] of rows)
    it(`${where} that are taken away are named, and taken up when they are given back`, async () => {
      const key = await makeService();
      await until(source, ({ services }) => services.has(key), key);
      const binding = `/apis/rbac.authorization.k8s.io/v1${path}`;
      assert.equal((await server.admin.request({ method: "DELETE", path: binding })).status, 200);
      const said = await untilSaid(words);
      assert.ok(said.services.has(key));
      assert.equal(said.bgpPeers.size, 1);
      assert.equal(said.complete, true, "what was read once is known");
      await installRoles(server.admin);
      await isWell();
    });
});

describe("a definition", () => {
  const UNKNOWN = /does not know this kind \(404\); install the custom resource definitions/;

  it("that serves an older version only is named, and what was read stays", async () => {
    const restore = await redefine(server.admin, "bgppeers.metallb.io", (version) => ({
      ...version,
      served: version.name !== "v1beta2",
    }));
    const said = await untilSaid(new RegExp(`^Kubernetes: bgppeers: .*${UNKNOWN.source}`));
    assert.deepEqual([...said.bgpPeers.keys()], [`${SYSTEM_NAMESPACE}/kept`]);
    const key = await makeService();
    await until(source, ({ services }) => services.has(key), "another kind", PATIENCE_MS);
    await restore();
    await isWell();
  });

  it("that is removed is named by who reads already and by who starts then; the rest is read", async () => {
    await removeDefinition(server.admin, "communities.metallb.io");
    await untilSaid(new RegExp(`^Kubernetes: communities: .*${UNKNOWN.source}.*stays in force`));
    const key = await makeService();
    await until(source, ({ services }) => services.has(key), "another kind", PATIENCE_MS);
    await using opened = new AsyncDisposableStack();
    const second = openSource(server.as(AGENT));
    opened.defer(() => second.close());
    await second.ready;
    const snapshot = await until(second, ({ services }) => services.has(key), "the Service");
    assert.equal(snapshot.complete, false, "nothing is taken for deleted");
    assert.match(texts(snapshot).join("\n"), new RegExp(`communities: .*${UNKNOWN.source}.*nothing is taken away`));
    await installDefinitions(server.admin);
    await isWell();
    await until(second, ({ complete, problems }) => complete && problems.length === 0, "everything", PATIENCE_MS);
  });
});

/** Which Secrets an agent reads, with the rights of its role, and what it makes of those that it gets or does not get. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  putObject,
  removeObject,
  type Manifest,
} from "../../lab/kubernetes/objects.ts";
import { parseBgpConfiguration } from "../../src/announce/bgp/configuration.ts";
import { formatProblem } from "../../src/net/problem.ts";
import { SYSTEM_NAMESPACE, until } from "../../src/source/contract.fixture.ts";
import { openConnection } from "../../src/source/kubernetes/connection.ts";
import { openKubernetesSource } from "../../src/source/kubernetes/source.ts";
import type { Snapshot, Source } from "../../src/source/source.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";
import { startProxy, type Proxy } from "./proxy.ts";
import { changeRole, without } from "./roles.ts";

const AGENT = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-agent`;
const NODE = "worker1";
const BASIC = "kubernetes.io/basic-auth";

let server: TestApiServer;
let proxy: Proxy;
let source: Source;
/** Of every snapshot that a listener was told of: peers that seemed to name a Secret which is not there. */
const missed: string[] = [];

before(async () => {
  server = await startApiServer([AGENT]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: NODE, labels: { rack: "a" } } };
  await putObject(server.admin, node);
  for (const [name, type, key] of [
    ["first", BASIC, "password"],
    ["second", BASIC, "password"],
    ["elsewhere", BASIC, "password"],
    ["opaque", "Opaque", "password"],
    ["fairlead-webhook-cert", "kubernetes.io/tls", "tls.key"],
  ] as const)
    await putObject(server.admin, secret(name, type, key));
  proxy = await startProxy(server.as(AGENT));
  source = openKubernetesSource({
    connection: openConnection(proxy.server),
    namespace: SYSTEM_NAMESPACE,
    component: "fairlead-agent",
    instance: NODE,
  });
  source.subscribe(() => {
    for (const problem of problemsOf(source.snapshot())) if (/secret ref not found/.test(problem)) missed.push(problem);
  });
  await source.ready;
});
after(async () => {
  await source.close();
  await proxy.close();
  await server.stop();
});

function secret(name: string, type: string, key: string): Manifest {
  const data = type === "kubernetes.io/tls" ? { "tls.crt": "", [key]: "" } : { [key]: btoa(`of ${name}`) };
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: SYSTEM_NAMESPACE }, type, data } as Manifest;
}

const peers = new Map<string, string>();

function peer(name: string, secretName: string, nodeSelectors: readonly unknown[] = []): Manifest {
  const peerAddress = peers.get(name) ?? `192.0.2.${peers.size + 1}`;
  peers.set(name, peerAddress);
  const spec = { myASN: 64512, peerASN: 64513, peerAddress, passwordSecret: { name: secretName }, nodeSelectors };
  const metadata = { name, namespace: SYSTEM_NAMESPACE };
  return { apiVersion: "metallb.io/v1beta2", kind: "BGPPeer", metadata, spec } as Manifest;
}

const problemsOf = (snapshot: Snapshot): readonly string[] =>
  parseBgpConfiguration(snapshot, { node: NODE }).problems.map(formatProblem);
const passwordOf = (snapshot: Snapshot, name: string): string | undefined =>
  parseBgpConfiguration(snapshot, { node: NODE }).peers.get(name)?.password;
const held = ({ secrets }: Snapshot): readonly string[] => [...secrets.keys()].map((key) => key.split("/")[1] ?? "");
const asked = (): readonly string[] => [
  ...new Set(
    proxy.requests
      .filter((request) => request.includes("/secrets"))
      .map((request) => decodeURIComponent(/fieldSelector=([^&]*)/.exec(request)?.[1] ?? "everything")),
  ),
];

describe("an agent", () => {
  it("whose configuration names no Secret asks for none, and knows everything all the same", async () => {
    const { unread } = await until(source, ({ complete }) => complete, "everything");
    assert.deepEqual([...unread], []);
    assert.deepEqual(asked(), []);
  });

  it("reads the Secret that a peer names, and only that; it is there when the peer is", async () => {
    await putObject(server.admin, peer("tor", "first"));
    await until(source, (all) => passwordOf(all, "tor") === "of first", "the password");
    assert.deepEqual(held(source.snapshot()), ["first"]);
    assert.deepEqual(asked(), ["metadata.name=first"]);
  });

  it("follows its changes, and a peer that names another; what is not named any more is not kept", async () => {
    const changed = { ...secret("first", BASIC, "password"), data: { password: btoa("changed") } } as Manifest;
    await putObject(server.admin, changed);
    await until(source, (all) => passwordOf(all, "tor") === "changed", "the change");
    await putObject(server.admin, peer("tor", "second"));
    await until(source, (all) => passwordOf(all, "tor") === "of second", "the other");
    assert.deepEqual(held(source.snapshot()), ["second"]);
    assert.deepEqual(missed, []);
  });

  it("reads none for a peer of other nodes, until its node becomes one", async () => {
    await putObject(server.admin, peer("far", "elsewhere", [{ matchLabels: { rack: "b" } }]));
    await until(source, ({ bgpPeers }) => bgpPeers.size === 2, "the peer");
    assert.deepEqual(held(source.snapshot()), ["second"]);
    await putObject(server.admin, peer("far", "elsewhere", [{ matchLabels: { rack: "a" } }]));
    await until(source, (all) => passwordOf(all, "far") === "of elsewhere", "the password");
    await removeObject(server.admin, peer("far", "elsewhere"));
    await until(source, (all) => held(all).length === 1, "its end");
  });

  it("says of a Secret that is of another type that it is, and keeps nothing of what it holds", async () => {
    await putObject(server.admin, peer("odd", "opaque"));
    const words = /BGPPeer metallb-system\/odd: .*secret type mismatch on metallb-system\/opaque: .*"Opaque"/;
    const snapshot = await until(source, (all) => problemsOf(all).some((each) => words.test(each)), String(words));
    const kept = snapshot.secrets.get(`${SYSTEM_NAMESPACE}/opaque`);
    assert.deepEqual([kept?.data, kept?.metadata.annotations], [{}, {}]);
    assert.ok(!stringify(snapshot.secrets).includes(btoa("of opaque")));
    await removeObject(server.admin, peer("odd", "opaque"));
  });

  it("says of a Secret that is not there that it is not, and takes it when it comes", async () => {
    await putObject(server.admin, peer("early", "late"));
    const words = /BGPPeer metallb-system\/early: .*there is no Secret metallb-system\/late/;
    await until(source, (all) => problemsOf(all).some((each) => words.test(each)), String(words));
    await putObject(server.admin, secret("late", BASIC, "password"));
    await until(source, (all) => passwordOf(all, "early") === "of late", "the password");
    await removeObject(server.admin, peer("early", "late"));
  });
});

describe("an agent whose role names Secrets", () => {
  /** As `speaker.readableSecrets` of the chart writes it. */
  const rule = { apiGroups: [""], resources: ["secrets"], verbs: ["list", "watch"], resourceNames: ["second"] };
  const open = (): Source =>
    openKubernetesSource({
      connection: openConnection(server.as(AGENT)),
      namespace: SYSTEM_NAMESPACE,
      component: "fairlead-agent",
      instance: NODE,
    });
  before(async () => {
    const role = `namespaces/${SYSTEM_NAMESPACE}/roles/fairlead-agent`;
    await changeRole(server.admin, role, (rules) => [...without("secrets")(rules), rule]);
    await putObject(server.admin, peer("kept", "first"));
  });

  it("reads those; another costs the peer that names it, which says why, and nothing else", async () => {
    await using opened = new AsyncDisposableStack();
    const own = open();
    opened.defer(() => own.close());
    await own.ready;
    const snapshot = await until(own, (all) => passwordOf(all, "tor") === "of second" && all.complete, "the password");
    assert.deepEqual([...snapshot.unread], [`secrets/${SYSTEM_NAMESPACE}/first`]);
    assert.match(
      snapshot.problems.map(formatProblem).join("\n"),
      /^Kubernetes: secrets\/first: secrets "first" is forbidden: .*\(403\); give this program the role/,
    );
    assert.match(problemsOf(snapshot).join("\n"), /BGPPeer metallb-system\/kept: .*first was not read; what is said/);
    await installRoles(server.admin);
    await until(own, (all) => passwordOf(all, "kept") === "changed", "the right", 30_000);
    assert.deepEqual([...own.snapshot().unread], []);
  });
});

it("a configuration that names more Secrets than are watched says which are not", async () => {
  const names = Array.from({ length: 50 }, (_, n) => `many-${String(n).padStart(2, "0")}`);
  await Promise.all(names.map((name) => putObject(server.admin, secret(name, BASIC, "password"))));
  await Promise.all(names.map((name) => putObject(server.admin, peer(name, name))));
  const snapshot = await until(
    source,
    (all) => all.problems.some(({ message }) => message.includes("names more than 48 Secrets")),
    "the bound",
    30_000,
  );
  // The first by name: first, many-00 to many-46.
  assert.deepEqual(snapshot.unread.size, 4);
  assert.ok(snapshot.unread.has(`secrets/${SYSTEM_NAMESPACE}/second`));
  await until(source, (all) => passwordOf(all, "many-46") === "of many-46", "the last one that is watched");
});

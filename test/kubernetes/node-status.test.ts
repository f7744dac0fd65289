/** What an agent writes about its node, with the agent's role, as the API server has it afterwards. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { writeKubeconfig } from "../../lab/kubernetes/kubeconfig.ts";
import { installDefinitions, installRoles, makeNamespace } from "../../lab/kubernetes/objects.ts";
import { tellMissing } from "../../src/agent/hazards/missing-features.ts";
import { SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import { openConnection, type Connection } from "../../src/source/kubernetes/connection.ts";
import { openNodeStatus } from "../../src/source/kubernetes/node-status.ts";
import type { BgpStatusWrite, NodeStatusWriter } from "../../src/source/source.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const AGENT = `system:serviceaccount:${SYSTEM_NAMESPACE}:fairlead-agent`;
const STATUSES = `/apis/metallb.io/v1beta1/namespaces/${SYSTEM_NAMESPACE}/servicebgpstatuses`;
const POD = { name: "fairlead-agent-x", uid: "5f0c1b1e-0000-4000-8000-000000000001" };

let folder: string;
let server: TestApiServer;
let connection: Connection;
const opened: NodeStatusWriter[] = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-node-status-"));
  server = await startApiServer([AGENT]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
  await installRoles(server.admin);
  connection = openConnection(server.as(AGENT));
});
after(async () => {
  for (const each of opened) await each.close();
  connection.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

function writerOf(node: string): NodeStatusWriter {
  const writer = openNodeStatus({ connection, namespace: SYSTEM_NAMESPACE, node, pod: POD });
  opened.push(writer);
  return writer;
}

interface Stored {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly status: unknown;
}

async function stored(path = STATUSES): Promise<readonly Stored[]> {
  const { body } = await server.admin.request({ method: "GET", path });
  return (body as { readonly items: readonly Stored[] }).items;
}

async function known(
  writer: NodeStatusWriter,
  fits: (statuses: ReadonlyMap<string, BgpStatusWrite>) => boolean = () => true,
): Promise<readonly (readonly [string, BgpStatusWrite])[]> {
  for (;;) {
    const statuses = writer.bgpStatuses();
    if (statuses !== undefined && fits(statuses)) return [...statuses];
    await sleep(20);
  }
}

describe("a ServiceBGPStatus", () => {
  it("says which node tells which peers of which Service, and goes with the pod", async () => {
    const writer = writerOf("worker1");
    assert.deepEqual(await known(writer), []);
    await writer.writeBgpStatus("default/web", { peers: ["a", "b"] });
    const [object, ...others] = await stored();
    assert.equal(others.length, 0);
    assert.deepEqual(object?.status, {
      node: "worker1",
      serviceName: "web",
      serviceNamespace: "default",
      peers: ["a", "b"],
    });
    assert.deepEqual(object.metadata.labels, {
      "metallb.io/node": "worker1",
      "metallb.io/service-name": "web",
      "metallb.io/service-namespace": "default",
    });
    assert.deepEqual(
      object.metadata.ownerReferences.map(({ kind, name }) => `${kind} ${name}`),
      ["Pod fairlead-agent-x"],
    );
  });

  it("is known to the agent that starts next on its node, and to no other's", async () => {
    assert.deepEqual(await known(writerOf("worker1")), [["default/web", { peers: ["a", "b"] }]]);
    assert.deepEqual(await known(writerOf("worker2")), []);
  });

  it("is not changed by being written again, and changes with its peers", async () => {
    const [before] = await stored();
    const [writer] = opened;
    await writer?.writeBgpStatus("default/web", { peers: ["a", "b"] });
    assert.equal((await stored())[0]?.metadata.resourceVersion, before?.metadata.resourceVersion);
    await writer?.writeBgpStatus("default/web", { peers: ["b"] });
    assert.deepEqual(
      (await stored()).map(({ status }) => (status as BgpStatusWrite).peers),
      [["b"]],
    );
  });

  it("that somebody edits or spoils is seen as it is, so that it is written anew", async () => {
    const [writer] = opened;
    assert.ok(writer !== undefined);
    const [object] = await stored();
    const contentType = "application/merge-patch+json";
    const path = `${STATUSES}/${object?.metadata.name}`;
    const edit = (status: unknown): Promise<{ readonly status: number }> =>
      server.admin.request({ method: "PATCH", path: `${path}/status`, contentType, body: { status } });
    assert.equal((await edit({ peers: ["forged"] })).status, 200);
    await known(writer, (all) => all.get("default/web")?.peers.join() === "forged");
    assert.equal((await edit({ serviceName: null, peers: null })).status, 200);
    await known(writer, (all) => !all.has("default/web"));
    await writer.writeBgpStatus("default/web", { peers: ["b"] });
    await known(writer, (all) => all.get("default/web")?.peers.join() === "b");
    assert.equal((await server.admin.request({ method: "DELETE", path })).status, 200);
    await known(writer, (all) => !all.has("default/web"));
    await writer.writeBgpStatus("default/web", { peers: ["b"] });
    assert.equal((await stored()).length, 1);
  });

  it("half written, by whomever, is nothing that the agent relies on", async () => {
    const metadata = { name: "half", labels: { "metallb.io/node": "worker3" } };
    const body = { apiVersion: "metallb.io/v1beta1", kind: "ServiceBGPStatus", metadata };
    assert.equal((await server.admin.request({ method: "POST", path: STATUSES, body })).status, 201);
    const writer = writerOf("worker3");
    assert.deepEqual(await known(writer), []);
    await writer.writeBgpStatus("default/web", { peers: ["a"] });
    assert.deepEqual(await known(writer), [["default/web", { peers: ["a"] }]]);
  });

  it("goes when the node announces no more, also twice", async () => {
    const [writer] = opened;
    await writer?.writeBgpStatus("default/web", undefined);
    await writer?.writeBgpStatus("default/web", undefined);
    const nodes = (await stored()).flatMap(({ metadata }) => metadata.labels["metallb.io/node"]);
    assert.deepEqual(nodes, ["worker3", "worker3"]);
  });
});

describe("an event about the node", () => {
  const events = async (): Promise<readonly string[]> => {
    const items = (await stored("/apis/events.k8s.io/v1/namespaces/default/events")) as unknown as readonly {
      readonly type: string;
      readonly reason: string;
      readonly note: string;
      readonly regarding: { readonly kind: string; readonly name: string; readonly apiVersion: string };
    }[];
    return items.map(
      ({ type, reason, note, regarding: { apiVersion, kind, name } }) =>
        `${type} ${reason} ${apiVersion} ${kind} ${name}: ${note}`,
    );
  };

  it("tells a hazard", async () => {
    const regarding = { kind: "Node", namespace: "", name: "worker1" };
    await writerOf("worker1").writeEvent({ regarding, type: "Warning", reason: "AddressHeld", message: "lo: words" });
    assert.deepEqual(await events(), ["Warning AddressHeld v1 Node worker1: lo: words"]);
  });

  it("tells what a kernel lacks, although the agent cannot start", async () => {
    const kubeconfig = join(folder, "agent.conf");
    await writeKubeconfig(server.as(AGENT), kubeconfig);
    const origin = { type: "kubernetes", kubeconfig, namespace: SYSTEM_NAMESPACE } as const;
    const missing = [{ name: "CONFIG_BPF_JIT", why: "interpreted programs are slower" }];
    await tellMissing({ origin, nodeName: "worker2", pod: undefined }, missing);
    assert.ok(
      (await events()).some((text) =>
        /^Warning MissingKernelFeature v1 Node worker2: This kernel lacks .*\n {2}CONFIG_BPF_JIT: interpreted/.test(
          text,
        ),
      ),
    );
  });
});

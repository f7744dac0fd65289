import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { openNodeState } from "./node-state.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "fl-node-state-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function read(...path: readonly string[]): unknown {
  return JSON.parse(readFileSync(join(folder, ...path), "utf8"));
}

test("a ServiceL2Status has MetalLB's labels and fields", async () => {
  await openNodeState(folder, "worker1").writeL2Status("shop/cart", { interfaces: ["eth0", "eth1"] });
  assert.deepEqual(readdirSync(join(folder, "servicel2statuses")), ["worker1_shop_cart.json"]);
  assert.deepEqual(read("servicel2statuses", "worker1_shop_cart.json"), {
    apiVersion: "metallb.io/v1beta1",
    kind: "ServiceL2Status",
    metadata: {
      name: "l2-e95a98612b",
      namespace: "metallb-system",
      labels: {
        "metallb.io/node": "worker1",
        "metallb.io/service-name": "cart",
        "metallb.io/service-namespace": "shop",
      },
    },
    status: {
      node: "worker1",
      serviceName: "cart",
      serviceNamespace: "shop",
      interfaces: [{ name: "eth0" }, { name: "eth1" }],
    },
  });
});

test("a ServiceBGPStatus has MetalLB's labels and the peers, and is known to the next run", async () => {
  await openNodeState(folder, "worker1").writeBgpStatus("shop/cart", { peers: ["a", "b"] });
  const object = read("servicebgpstatuses", "worker1_shop_cart.json") as { kind: string; metadata: { name: string } };
  assert.deepEqual(object, {
    apiVersion: "metallb.io/v1beta1",
    kind: "ServiceBGPStatus",
    metadata: {
      name: "bgp-e95a98612b",
      namespace: "metallb-system",
      labels: {
        "metallb.io/node": "worker1",
        "metallb.io/service-name": "cart",
        "metallb.io/service-namespace": "shop",
      },
    },
    status: { node: "worker1", serviceName: "cart", serviceNamespace: "shop", peers: ["a", "b"] },
  });
  const next = openNodeState(folder, "worker1");
  assert.deepEqual([...(next.bgpStatuses() ?? [])], [["shop/cart", { peers: ["a", "b"] }]]);
  assert.equal(next.l2Statuses()?.size, 0);
  await next.writeBgpStatus("shop/cart", undefined);
  assert.deepEqual(readdirSync(join(folder, "servicebgpstatuses")), []);
});

test("the next run knows what was written, but not what another node wrote nor what is no status", async () => {
  const first = openNodeState(folder, "worker1");
  await first.writeL2Status("shop/cart", { interfaces: ["eth0"] });
  await first.writeL2Status("shop/gone", { interfaces: [] });
  await first.writeL2Status("shop/gone", undefined);
  await openNodeState(folder, "worker2").writeL2Status("shop/web", { interfaces: [] });
  writeFileSync(join(folder, "servicel2statuses", "worker1_shop_broken.json"), '{"status":');
  assert.deepEqual(
    [...(openNodeState(folder, "worker1").l2Statuses() ?? [])],
    [["shop/cart", { interfaces: ["eth0"] }]],
  );
});

test("an agent's ConfigurationState is called after its node", async () => {
  const status = { result: "Invalid", errorSummary: "x", conditions: [] } as const;
  await openNodeState(folder, "worker1").writeConfigurationState(status);
  assert.deepEqual(read("configurationstates", "speaker-worker1.json"), {
    apiVersion: "metallb.io/v1beta1",
    kind: "ConfigurationState",
    metadata: {
      name: "speaker-worker1",
      namespace: "metallb-system",
      labels: { "metallb.io/component-type": "speaker", "metallb.io/node-name": "worker1" },
    },
    status,
  });
});

test("events of two agents in one folder do not overwrite each other", async () => {
  const event = {
    regarding: { kind: "Service", namespace: "shop", name: "cart" },
    type: "Normal",
    reason: "nodeAssigned",
    message: "m",
  } as const;
  const agents = ["worker1", "worker2"].map((node) => openNodeState(folder, node));
  await Promise.all(agents.map((agent) => agent.writeEvent(event)));
  for (const node of ["worker1", "worker2"]) {
    const { items } = read(`events-${node}.json`) as {
      items: { reason: string; source: unknown; involvedObject: unknown }[];
    };
    assert.deepEqual(
      items.map(({ reason, source, involvedObject }) => ({ reason, source, involvedObject })),
      [{ reason: "nodeAssigned", source: { component: "fairlead-agent" }, involvedObject: event.regarding }],
    );
  }
});

test("a folder that cannot be made is named", () => {
  writeFileSync(join(folder, "file"), "");
  assert.throws(() => openNodeState(join(folder, "file"), "worker1"), /Cannot create the node-state folder ".*file"/);
});

test("a status that cannot be written names the Service, and is still to be written", async () => {
  const writer = openNodeState(folder, "worker1");
  rmSync(join(folder, "servicel2statuses"), { recursive: true });
  writeFileSync(join(folder, "servicel2statuses"), "");
  await assert.rejects(
    writer.writeL2Status("shop/cart", { interfaces: [] }),
    /Cannot write the ServiceL2Status of Service shop\/cart: /,
  );
  assert.equal(writer.l2Statuses()?.size, 0);
});

test("a node that writes here and has no ServiceBGPStatus for a Service is silent about it; others are not known", async () => {
  const state = { result: "Valid", errorSummary: "", conditions: [] } as const;
  const worker1 = openNodeState(folder, "worker1");
  for (const node of ["worker1", "worker2"]) await openNodeState(folder, node).writeConfigurationState(state);
  await worker1.writeBgpStatus("shop/cart", { peers: ["a"] });
  assert.deepEqual(await worker1.silentAbout("shop/cart", ["worker1", "worker2", "worker3"]), ["worker2"]);
  assert.deepEqual(await worker1.silentAbout("shop/other", ["worker1"]), ["worker1"]);
});

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { endpointSliceSchema, nodeSchema, serviceSchema } from "../src/service/objects.ts";
import type { EndpointSlice, Service } from "../src/service/objects.ts";
import { endpointSliceObjects, EVERYTHING_READY, namespaceObjects, nodeObjects } from "./cluster-objects.ts";
import type { Conditions } from "./cluster-objects.ts";
import { readScene } from "./scene-file.ts";
import type { Scene } from "./scene.ts";

let scene: Scene;
before(async () => {
  const read = await readScene("l2");
  assert.ok(read.ok);
  ({ scene } = read);
});

function service(spec: object, namespace = "default"): Service {
  return serviceSchema.parse({
    metadata: { name: "web", namespace },
    spec: { selector: { app: "metallb-cluster" }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  });
}

function slices(one: Service, conditions: Conditions = EVERYTHING_READY): readonly EndpointSlice[] {
  return endpointSliceObjects(scene, [one], conditions).map((each) => endpointSliceSchema.parse(each));
}

describe("the endpoint slices of a Service", () => {
  test("name every pod its selector selects, with node, port and condition", () => {
    const [slice, ...more] = slices(service({}));
    assert.equal(more.length, 0);
    assert.equal(slice?.metadata.labels["kubernetes.io/service-name"], "web");
    assert.deepEqual(slice?.ports, [{ protocol: "TCP", port: 8080 }]);
    assert.equal(slice?.endpoints.length, 6);
    assert.deepEqual(slice?.endpoints[0], {
      addresses: ["10.244.0.2"],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: "kind-control-plane",
      targetRef: { kind: "Pod", namespace: "default", name: "web-1" },
    });
  });
  test("are one per family of a dual-stack Service", () => {
    assert.deepEqual(
      slices(service({ ipFamilyPolicy: "RequireDualStack" })).map((each) => each.addressType),
      ["IPv4", "IPv6"],
    );
    assert.deepEqual(
      slices(service({ ipFamilies: ["IPv6"] })).map((each) => each.addressType),
      ["IPv6"],
    );
  });
  test("do not exist for a Service without a selector", () => {
    assert.deepEqual(slices(service({ selector: {} })), []);
  });
  test("are empty for a Service of another namespace, or one whose selector no pod has", () => {
    assert.equal(slices(service({}, "other"))[0]?.endpoints.length, 0);
    assert.equal(slices(service({ selector: { app: "metallb-cluster", tier: "x" } }))[0]?.endpoints.length, 0);
  });
  test("say what became of a pod", () => {
    const endpoints = slices(service({}), {
      pods: { "web-1": "notReady", "web-2": "terminating", "web-3": "removed" },
      removedNodes: [],
      nodes: {},
    })[0]?.endpoints;
    assert.equal(endpoints?.length, 5);
    assert.deepEqual(endpoints?.[0]?.conditions, { ready: false, serving: false, terminating: false });
    assert.deepEqual(endpoints?.[1]?.conditions, { ready: false, serving: true, terminating: true });
  });
});

test("with a node go its pods", () => {
  const [slice] = slices(service({}), { ...EVERYTHING_READY, removedNodes: ["worker1"] });
  assert.deepEqual(
    slice?.endpoints.map((each) => each.targetRef?.name),
    ["web-1", "web-2", "web-5", "web-6"],
  );
});

test("a node object has its addresses of both families, its pod networks and its labels, unless it was removed", () => {
  const nodes = nodeObjects(scene, { ...EVERYTHING_READY, removedNodes: ["worker1"] }).map((each) =>
    nodeSchema.parse(each),
  );
  assert.deepEqual(
    nodes.map((each) => each.metadata.name),
    ["kind-control-plane", "worker2"],
  );
  assert.equal(nodes[0]?.metadata.labels["kubernetes.io/hostname"], "kind-control-plane");
  assert.deepEqual(nodes[1]?.status.addresses, [
    { type: "InternalIP", address: "192.168.10.203" },
    { type: "InternalIP", address: "fc00:f853:ccd:e799::f203" },
    { type: "Hostname", address: "worker2" },
  ]);
  assert.deepEqual(nodes[1]?.spec.podCIDRs, ["10.244.2.0/24", "fd00:10:244:2::/64"]);
});

test("every namespace that a Service or a pod is in exists", () => {
  const names = namespaceObjects(scene, [service({}, "shop")]).map((each) => (each.metadata as { name: string }).name);
  assert.deepEqual(names, ["default", "kube-system", "metallb-system", "shop"]);
});

test("a changed node has the labels of the scene and more, and may lose its network", () => {
  const nodes = { worker1: { labels: { edge: "" }, networkUnavailable: true } };
  const found = nodeObjects(scene, { ...EVERYTHING_READY, nodes })
    .map((each) => nodeSchema.parse(each))
    .find((each) => each.metadata.name === "worker1");
  assert.equal(found?.metadata.labels["kubernetes.io/hostname"], "worker1");
  assert.equal(found?.metadata.labels["edge"], "");
  assert.deepEqual(
    found?.status.conditions.map(({ type, status }) => `${type} ${status}`),
    ["Ready True", "NetworkUnavailable True"],
  );
});

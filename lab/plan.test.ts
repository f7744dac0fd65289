import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { creationLines, planLab } from "./plan.ts";
import type { NamespacePlan, Plan } from "./plan.ts";
import { linkLocal } from "./pod-network.ts";
import { parseScene, readScene } from "./scene-file.ts";

async function builtIn(name: string): Promise<Plan> {
  const read = await readScene(name);
  assert.ok(read.ok);
  return planLab(read.scene, "lab");
}

function member(plan: Plan, name: string): NamespacePlan {
  const found = plan.namespaces.find((each) => each.member === name);
  assert.ok(found !== undefined, name);
  return found;
}

describe("the plan of scene l2", () => {
  test("has a namespace for every host, pod and segment, each named after the lab", async () => {
    const plan = await builtIn("l2");
    assert.equal(plan.namespaces.length, 1 + 4 + 6);
    assert.ok(plan.namespaces.every((each) => each.namespace === `fl-lab-${each.member}`));
  });
  test("gives every cable two MAC addresses that nobody else has", async () => {
    const macs = (await builtIn("l2")).cables.flatMap(({ near, far }) => [near.mac, far.mac]);
    assert.equal(new Set(macs).size, macs.length);
    assert.equal(macs.length, 2 * (4 + 6));
  });
  test("forwards on nodes only", async () => {
    const plan = await builtIn("l2");
    assert.deepEqual(
      plan.namespaces.filter((each) => each.forwarding).map((each) => each.member),
      ["kind-control-plane", "worker1", "worker2"],
    );
  });
  test("puts the passing program opposite to nodes with an agent, not opposite to the client", async () => {
    assert.deepEqual(member(await builtIn("l2"), "lan").passing, ["p1", "p2", "p3"]);
  });
  test("routes to the pods of the other nodes and to each own pod by its veth", async () => {
    const lines = member(await builtIn("l2"), "worker1").configure;
    assert.ok(lines.includes("route replace 10.244.0.0/24 via 192.168.10.201 src 192.168.10.202"));
    assert.ok(lines.includes("route replace 10.244.1.2 dev fl-web-3 src 192.168.10.202"));
    assert.ok(!lines.some((line) => line.startsWith("route replace 10.244.1.0/24")));
  });
  test("has no netfilter rules", async () => {
    assert.ok((await builtIn("l2")).namespaces.every((each) => each.netfilter === undefined));
  });
});

describe("the plan of scene bridged", () => {
  test("puts pods on a bridge by devices that look like a CNI's", async () => {
    const node = member(await builtIn("bridged"), "worker1");
    assert.ok(node.devices.filter((device) => /^veth[0-9a-f]{8}$/.test(device)).length === 2);
    assert.ok(node.configure.includes("addr replace 10.244.1.1/24 dev cni0 brd +"));
  });
  test("masquerades what leaves the pod network and drops what connection tracking calls invalid", async () => {
    const rules = member(await builtIn("bridged"), "worker1").netfilter ?? "";
    assert.match(rules, /ct state invalid drop/);
    assert.match(
      rules,
      /ip saddr 10\.244\.1\.0\/24 ip daddr != \{ 10\.244\.0\.0\/24, 10\.244\.1\.0\/24, 10\.244\.2\.0\/24, 224\.0\.0\.0\/4 \} masquerade/,
    );
  });
});

test("a link is one cable, whichever of its hosts comes first", () => {
  const end = (name: string, address: string): string =>
    `{ name: ${name}, role: router, interfaces: [{ on: up, addresses: [${address}] }] }`;
  const parsed = parseScene(
    `name: pair\nlinks: [up]\nhosts: [${end("a", "10.0.0.1/30")}, ${end("b", "10.0.0.2/30")}]`,
    "pair.yaml",
    "/",
  );
  assert.ok(parsed.ok);
  assert.deepEqual(creationLines(planLab(parsed.scene, "pair")), [
    "netns add fl-pair-a",
    "netns add fl-pair-b",
    "link add eth0 address 02:fa:1e:00:00:02 netns fl-pair-b type veth peer name eth0 address 02:fa:1e:00:00:01 netns fl-pair-a",
  ]);
});

test("a default route over a host at the other end is IPv4's, whatever family the gateway has", () => {
  const parsed = parseScene(
    `name: pair
links: [up]
hosts:
  - { name: leaf, role: router, interfaces: [{ on: up }] }
  - { name: n1, role: node, loopback: [10.9.0.1/32], interfaces: [{ on: up }], routes: [{ to: default, via: leaf, device: eth0 }] }`,
    "pair.yaml",
    "/",
  );
  assert.ok(parsed.ok);
  const { configure } = member(planLab(parsed.scene, "pair"), "n1");
  assert.equal(configure.at(-1), "route replace 0.0.0.0/0 via inet6 fe80::fa:1eff:fe00:1 dev eth0");
});

test("a host at the other end of a link is a gateway by its link-local address, and an address on lo is how a host is known", () => {
  const parsed = parseScene(
    `name: pair
links: [up]
hosts:
  - { name: leaf, role: router, interfaces: [{ on: up }], routes: [{ to: 10.9.0.1/32, via: n1, device: eth0 }] }
  - { name: n1, role: node, loopback: [10.9.0.1/32], interfaces: [{ on: up }], podNetwork: { kind: routed, cidrs: [10.244.0.0/24] } }
pods: [{ name: a, node: n1 }]`,
    "pair.yaml",
    "/",
  );
  assert.ok(parsed.ok);
  const plan = planLab(parsed.scene, "pair");
  assert.ok(
    member(plan, "leaf").configure.includes("route replace 10.9.0.1/32 via inet6 fe80::fa:1eff:fe00:2 dev eth0"),
  );
  assert.ok(member(plan, "n1").configure.includes("addr replace 10.9.0.1/32 dev lo brd +"));
  assert.ok(member(plan, "n1").configure.includes("route replace 10.244.0.2 dev fl-a src 10.9.0.1"));
});

test("a link-local address is made from the MAC address as RFC 4291 says", () => {
  assert.equal(linkLocal("02:fa:1e:00:00:02"), "fe80::fa:1eff:fe00:2");
  assert.equal(linkLocal("34:56:78:9a:bc:de"), "fe80::3656:78ff:fe9a:bcde");
});

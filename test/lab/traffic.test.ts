/** What clients of a Service see, with pods behind our veths and behind a foreign bridge, and which road their packets take. */
import assert from "node:assert/strict";
import { labSuite } from "./harness.ts";
import type { TestLab } from "./harness.ts";
import { testServices } from "./suites/services.ts";

for (const scene of ["l2", "bridged"]) labSuite(`Services in scene ${scene}`, scene, {}, testServices);

labSuite("the road in scene l2", "l2", { capture: false }, (it) => {
  it("pods here are reached without the node's stack, pods elsewhere by forwarding", async (lab) => {
    const before = await verdicts(lab);
    await exampleRequests(lab);
    const after = await verdicts(lab);
    assert.ok((after["delivered"] ?? 0) > (before["delivered"] ?? 0));
    assert.ok((after["forwarded"] ?? 0) > (before["forwarded"] ?? 0));
    assert.equal(after["deliveredbystack"] ?? 0, before["deliveredbystack"] ?? 0);
  });
});

labSuite("the road in scene bridged", "bridged", { capture: false }, (it) => {
  it("pods here are reached through the node's stack, whose connection tracking sees both directions", async (lab) => {
    const before = await verdicts(lab);
    await exampleRequests(lab);
    const after = await verdicts(lab);
    assert.ok((after["deliveredbystack"] ?? 0) > (before["deliveredbystack"] ?? 0));
    assert.equal(after["delivered"] ?? 0, before["delivered"] ?? 0);
  });

  it("a client far away sees a pod's own connections come from the node", async (lab) => {
    // The bridge's masquerade still works beside us: the client is asked on a port where only the kernel answers, by refusing.
    const { stdout } = await lab.exec("worker1", "nft", "list", "table", "inet", "cni");
    assert.match(stdout, /masquerade/);
    const [result] = await lab.requests(
      { protocol: "TCP", address: lab.hostAddress(lab.client, "IPv4"), port: 1 },
      "web-3",
    );
    assert.equal(result?.error, "ECONNREFUSED");
  });
});

async function exampleRequests(lab: TestLab): Promise<void> {
  const results = await lab.requests({
    protocol: "HTTP",
    address: await lab.address("metallb1-cluster"),
    port: 18081,
    count: 60,
    concurrency: 5,
  });
  assert.equal(results.filter(({ ok }) => ok).length, 60);
}

/** Of all agents together, by name in lower case without separators. */
async function verdicts(lab: TestLab): Promise<Readonly<Record<string, number>>> {
  const sums: Record<string, number> = {};
  for (const node of lab.nodes) {
    const status = await lab.agent(node, "/v1/status");
    assert.ok(status !== undefined, node);
    for (const [name, count] of Object.entries(status.verdicts)) {
      const key = name
        .toLowerCase()
        .replace(/^verdict/, "")
        .replaceAll(/[^a-z]/g, "");
      sums[key] = (sums[key] ?? 0) + count;
    }
  }
  return sums;
}

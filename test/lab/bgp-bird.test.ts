/** BIRD as router: it takes whoever calls from its segment. */
import assert from "node:assert/strict";
import { answersPerPod } from "../../lab/requests.ts";
import { nextHopsTo, waitForNextHops } from "../../lab/routes.ts";
import { waitFor } from "../../lab/wait.ts";
import { labSuite, type TestLab } from "./harness.ts";
import { restartedAgent } from "./routers.ts";

const V4 = "203.0.113.0";
const V6 = "2001:db8:113::";
const BOTH = ["node1", "node2"];
const web = { protocol: "HTTP", address: V4, port: 80 } as const;

async function birdc(lab: TestLab, ...words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await lab.exec("router", "birdc", ...words);
  assert.equal(status, 0, stderr);
  return stdout;
}

labSuite("BIRD as router", "bird", {}, (it) => {
  it("both families come over one session, and requests over both are balanced", async (lab) => {
    assert.deepEqual(await nextHopsTo(lab.lab, "router", V6), BOTH);
    for (const address of [V4, V6]) {
      const results = await lab.requests({ ...web, address, count: 60, concurrency: 6 });
      assert.deepEqual([...answersPerPod(results).keys()].toSorted(), ["web-1", "web-2"]);
    }
  });

  it("attributes are as BIRD shows them: origin IGP, one AS, communities standard and large", async (lab) => {
    const text = await birdc(lab, "show", "route", "all", `${V4}/32`);
    for (const line of ["origin: IGP", "as_path: 65010", "community: (64512,100)", "large_community: (64512, 1, 2)"])
      assert.equal(text.split(`BGP.${line}`).length, 3, `${line} at both paths:\n${text}`);
  });

  it("BFD is up with both nodes", async (lab) => {
    await waitFor("BFD", async () =>
      (await birdc(lab, "show", "bfd", "sessions")).match(/ Up /g)?.length === 2 ? true : undefined,
    );
  });

  it("a refresh that BIRD asks for is answered with all routes", async (lab) => {
    await birdc(lab, "reload", "in", "all");
    await waitFor("the refresh to be counted", async () => {
      const [peer] = (await lab.agent("node1", "/v1/bgp/peers")) ?? [];
      return (peer?.messages.received["routeRefresh"] ?? 0) >= 2 ? true : undefined;
    });
    assert.deepEqual(await nextHopsTo(lab.lab, "router", V4), BOTH);
  });

  it("an agent that is stopped and started again: BFD stays up, the kernel sees nothing, no request fails", async (lab) => {
    const { failed, changes } = await restartedAgent(lab, "node1", "router", web);
    assert.deepEqual(failed, []);
    assert.deepEqual(changes, []);
  });

  it("a session that BIRD ends tells its reason in BIRD's words, and comes back", async (lab) => {
    const name = /^(node\d) +BGP .* Established/m.exec(await birdc(lab, "show", "protocols"))?.[1] ?? "";
    await birdc(lab, "restart", name, '"maintenance window"');
    await waitFor("the words in a log", async () => {
      const logs = await Promise.all(BOTH.map((node) => lab.agent(node, "/v1/bgp/peers")));
      const reasons = logs.flatMap(
        (peers) => peers?.flatMap(({ history }) => history.map(({ reason }) => reason)) ?? [],
      );
      return reasons.some((reason) => reason.includes("maintenance window")) ? true : undefined;
    });
    await waitForNextHops(lab.lab, "router", [V4, V6], BOTH);
  });

  it("a node that loses its power: BFD takes its next hop away long before the hold time, and it comes back with the node", async (lab) => {
    await lab.fault("node2", "node-down");
    await waitForNextHops(lab.lab, "router", [V4, V6], ["node1"]);
    const results = await lab.requests({ ...web, count: 30, concurrency: 3 });
    assert.equal(results.filter((each) => !each.ok).length, 0);
    await lab.fault("node2", "node-up");
    await waitForNextHops(lab.lab, "router", [V4, V6], BOTH, { milliseconds: 45_000 });
  });
});

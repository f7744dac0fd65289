/** Everything FRR can ask of a node: a password, graceful restart, both families over either transport, and what it makes of attributes. */
import assert from "node:assert/strict";
import { answersPerPod } from "../../lab/requests.ts";
import { nextHopsTo, waitForNextHops } from "../../lab/routes.ts";
import { waitFor } from "../../lab/wait.ts";
import { labSuite, type TestLab } from "./harness.ts";
import { failuresDuring, frrPaths, frrPeers, restartedAgent, routeChangesDuring } from "./routers.ts";

const V4 = "203.0.113.0";
const V6 = "2001:db8:113::";
const BOTH = ["node1", "node2"];
const web = { protocol: "HTTP", address: V4, port: 80 } as const;
const SESSIONS = ["10.94.0.11", "fd94::12"];

const advertisement = (spec: string, annotations = ""): string =>
  `apiVersion: metallb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: { name: more, namespace: metallb-system, annotations: { ${annotations} } }\nspec: ${spec}\n`;

/** How often FRR has lost each session. */
async function drops(lab: TestLab): Promise<readonly number[]> {
  const peers = await frrPeers(lab, "router");
  return SESSIONS.map((address) => peers[address]?.connectionsDropped ?? -1);
}

/** The same router, by another of its addresses. */
const WRONG_PASSWORD = `apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: { name: wrong-password, namespace: metallb-system }
spec: { myASN: 65010, peerASN: 64512, peerAddress: 10.94.9.1, password: other, connectTime: 2s }
`;

labSuite("FRR with all it can ask for", "dualstack", {}, (it) => {
  it("a peer more, whose password is wrong, is written while the others are up", async (lab) => {
    await lab.write("wrong.yaml", WRONG_PASSWORD);
  });

  it("both families come over IPv4 from one node and over IPv6 from the other, with a password", async (lab) => {
    for (const family of ["ipv4", "ipv6"] as const) {
      const peers = await frrPeers(lab, "router", family);
      assert.deepEqual(
        SESSIONS.map((address) => [peers[address]?.state, peers[address]?.pfxRcd]),
        [
          ["Established", 1],
          ["Established", 1],
        ],
      );
    }
    assert.deepEqual(await nextHopsTo(lab.lab, "router", V6), BOTH);
    for (const address of [V4, V6]) {
      const results = await lab.requests({ ...web, address, count: 60, concurrency: 6 });
      assert.deepEqual([...answersPerPod(results).keys()].toSorted(), ["web-1", "web-2"]);
    }
  });

  it("communities arrive: by the name of a Community object, large and well-known", async (lab) => {
    for (const prefix of [`${V4}/32`, `${V6}/128`]) {
      const paths = await frrPaths(lab, "router", prefix);
      assert.deepEqual(
        paths.map(({ community, largeCommunity }) => [community?.string, largeCommunity?.string]),
        [
          ["64512:100 no-export", "64512:1:2"],
          ["64512:100 no-export", "64512:1:2"],
        ],
      );
    }
  });

  it("MED, prepend and another community reach FRR without a session lost; link bandwidth becomes weights", async (lab) => {
    const before = await drops(lab);
    await lab.write(
      "more.yaml",
      advertisement("{ communities: ['64512:7'] }", "fairlead.io/med: '30', fairlead.io/as-path-prepend: '2'"),
    );
    await waitFor("both paths with the union of the communities", async () => {
      const paths = await frrPaths(lab, "router", `${V4}/32`);
      return paths.length === 2 && paths.every(({ community }) => community?.string === "64512:7 64512:100 no-export")
        ? true
        : undefined;
    });
    const paths = await frrPaths(lab, "router", `${V4}/32`);
    // Of two offers of one prefix the better one counts: the other advertisement prepends nothing.
    assert.deepEqual(
      paths.map(({ metric, aspath }) => [metric, aspath?.string]),
      [
        [30, "65010"],
        [30, "65010"],
      ],
    );
    await lab.write("more.yaml", advertisement("{}", "fairlead.io/endpoint-bandwidth: '125000000'"));
    await waitFor("link bandwidth at both paths", async () => {
      const found = await frrPaths(lab, "router", `${V4}/32`);
      return found.every(({ extendedCommunity }) => /LB:65010:125000000/.test(extendedCommunity?.string ?? ""))
        ? true
        : undefined;
    });
    await lab.remove("more.yaml");
    assert.deepEqual(await drops(lab), before);
  });

  it("the peer with the wrong password does not come up, says why, and costs the others nothing", async (lab) => {
    const peer = await waitFor(
      "the agent to name the password",
      async () => {
        const peers = (await lab.agent("node1", "/v1/bgp/peers")) ?? [];
        return peers.find(({ problems }) => problems.some((text) => text.includes("password")));
      },
      { milliseconds: 20_000 },
    );
    assert.equal(peer.name, "wrong-password");
    const { stdout } = await lab.exec("router", "nstat", "-asz", "TcpExtTCPMD5Failure");
    assert.ok(Number(/TcpExtTCPMD5Failure\s+(\d+)/.exec(stdout)?.[1]) > 0, stdout);
    assert.deepEqual(await drops(lab), [0, 0]);
    await lab.remove("wrong.yaml");
    await waitFor("it to be gone", async () =>
      (await lab.agent("node1", "/v1/bgp/peers"))?.length === 1 ? true : undefined,
    );
  });

  it("an agent that is killed and started again: with graceful restart the router's kernel sees nothing, no request fails", async (lab) => {
    let failed: readonly unknown[] = [];
    const changes = await routeChangesDuring(lab, "router", V4, async () => {
      failed = await failuresDuring(lab, web, async () => {
        await lab.fault("node2", "agent-kill");
        await waitFor("the path to be stale", async () => {
          const { stdout } = await lab.exec("router", "vtysh", "-c", `show bgp ipv4 unicast ${V4}/32`);
          return stdout.includes("stale") ? true : undefined;
        });
        await lab.fault("node2", "agent-start");
        await waitFor(
          "no stale path",
          async () => {
            const { stdout } = await lab.exec("router", "vtysh", "-c", `show bgp ipv4 unicast ${V4}/32`);
            return stdout.includes("stale") ? undefined : true;
          },
          { milliseconds: 30_000 },
        );
      });
    });
    assert.deepEqual(failed, []);
    assert.deepEqual(changes, []);
  });

  it("an agent that is stopped and started again costs nothing either", async (lab) => {
    const { failed, changes } = await restartedAgent(lab, "node1", "router", web);
    assert.deepEqual(failed, []);
    assert.deepEqual(changes, []);
  });

  it("a node that is drained by its label: others are preferred, then its routes go, and no request fails", async (lab) => {
    const label = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };
    const failed = await failuresDuring(lab, web, async () => {
      await lab.conditions({ nodes: { node1: { labels: label } } });
      await waitFor("GRACEFUL_SHUTDOWN", async () => {
        const paths = await frrPaths(lab, "router", `${V4}/32`);
        return paths.some(({ community }) => /graceful-shutdown/.test(community?.string ?? "")) ? true : undefined;
      });
      await waitForNextHops(lab.lab, "router", [V4, V6], ["node2"]);
      await waitFor("its path to go", async () =>
        (await frrPaths(lab, "router", `${V4}/32`)).length === 1 ? true : undefined,
      );
    });
    assert.deepEqual(failed, []);
    const [peer] = (await lab.agent("node1", "/v1/bgp/peers")) ?? [];
    assert.equal(peer?.state, "established");
    assert.deepEqual(peer.announced, { IPv4: 0, IPv6: 0 });
    await lab.conditions({});
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

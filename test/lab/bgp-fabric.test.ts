/** Other shapes of a fabric: one AS with a route reflector, cables without addresses, pod CIDRs instead of Services. */
import assert from "node:assert/strict";
import { answersPerPod } from "../../lab/requests.ts";
import { nextHopsTo, readRoutes, waitForNextHops } from "../../lab/routes.ts";
import { waitFor } from "../../lab/wait.ts";
import { labSuite } from "./harness.ts";
import { frrPaths } from "./routers.ts";

const V4 = "203.0.113.0";
const V6 = "2001:db8:113::";
const web = { protocol: "HTTP", address: V4, port: 80 } as const;

labSuite("iBGP with a route reflector", "ibgp", {}, (it) => {
  it("the edge router learns both paths from the reflector, with LOCAL_PREF, and balances", async (lab) => {
    const paths = await frrPaths(lab, "edge", `${V4}/32`);
    assert.deepEqual(
      paths.map(({ locPrf, aspath, community }) => [locPrf, aspath?.string, community?.string]),
      [
        [150, "Local", "64512:100"],
        [150, "Local", "64512:100"],
      ],
    );
    const results = await lab.requests({ ...web, count: 60, concurrency: 6 });
    assert.deepEqual([...answersPerPod(results).keys()].toSorted(), ["web-1", "web-2"]);
  });

  it("without BFD a node that loses its power is out within the hold time", async (lab) => {
    await lab.fault("node2", "node-down");
    await waitForNextHops(lab.lab, "edge", [V4], ["node1"]);
  });
});

labSuite("cables without addresses", "unnumbered", {}, (it) => {
  it("peers find each other, IPv4 routes have the link's IPv6 next hops, and requests of both families are balanced", async (lab) => {
    const routes = await readRoutes(lab.lab, "leaf");
    for (const prefix of [`${V4}/32`, `${V6}/128`]) {
      const hops = routes.find((route) => route.prefix === prefix)?.nextHops ?? [];
      assert.deepEqual(hops.map(({ device, host }) => `${device} ${host}`).toSorted(), [
        "node1if node1",
        "node2if node2",
      ]);
      assert.ok(
        hops.every(({ gateway }) => gateway.startsWith("fe80:")),
        JSON.stringify(hops),
      );
    }
    for (const address of [V4, V6]) {
      const results = await lab.requests({ ...web, address, count: 60, concurrency: 6 });
      assert.deepEqual([...answersPerPod(results).keys()].toSorted(), ["web-1", "web-2"]);
    }
  });

  it("a cable that is pulled and plugged in again", async (lab) => {
    await lab.fault("node1", "link-down");
    await waitForNextHops(lab.lab, "leaf", [V4, V6], ["node2"]);
    await lab.fault("node1", "link-up");
    // BGP's own table: zebra 8.4 does not notice that the kernel has dropped the cable out of its nexthop object meanwhile.
    await waitFor(
      "both paths to count again",
      async () => {
        const found = await Promise.all([`${V4}/32`, `${V6}/128`].map((prefix) => frrPaths(lab, "leaf", prefix)));
        return found.every((paths) => paths.filter(({ multipath }) => multipath === true).length === 2)
          ? true
          : undefined;
      },
      { milliseconds: 30_000 },
    );
  });
});

labSuite("pod CIDRs for native routing", "podcidr", {}, (it) => {
  it("the leaf learns each node's pod CIDR from its AS, and a client reaches pods by that alone", async (lab) => {
    const routes = await waitFor("both routes", async () => {
      const found = await readRoutes(lab.lab, "leaf");
      return found.length === 2 ? found : undefined;
    });
    assert.deepEqual(
      routes.map(({ prefix, nextHops }) => [prefix, ...nextHops.map(({ gateway }) => gateway)]),
      [
        ["10.244.0.0/24", "10.0.0.11"],
        ["10.244.1.0/24", "10.0.0.12"],
      ],
    );
    assert.deepEqual(
      (await frrPaths(lab, "leaf", "10.244.0.0/24")).map(({ aspath }) => aspath?.string),
      ["65011"],
    );
    for (const [address, pod] of [
      ["10.244.0.2", "web-1"],
      ["10.244.1.2", "web-2"],
    ] as const) {
      assert.equal((await lab.ask({ protocol: "HTTP", address, port: 8080 })).pod_name, pod);
    }
    assert.deepEqual(await nextHopsTo(lab.lab, "leaf", "10.244.0.2"), []);
  });
});

/**
 * BGP against real routers, seen from the routers: what their kernels hold, what their daemons were told, what a client gets.
 * The files of examples/bgp and examples/router are used as they are.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { nextHopsTo, readRoutes, waitForNextHops } from "../../lab/routes.ts";
import { answersPerPod } from "../../lab/requests.ts";
import { waitFor } from "../../lab/wait.ts";
import type { DrainDocument } from "../../src/observe/status.ts";
import { labSuite } from "./harness.ts";
import { failuresDuring, frrPaths, restartedAgent, type FrrPath } from "./routers.ts";

const execute = promisify(execFile);
const FAIRLEAD = join(import.meta.dirname, "../../bin/fairlead");

const VIP = "10.254.254.1";
const web = { protocol: "HTTP", address: VIP, port: 18_081 } as const;

labSuite("the walk-through with FRR", "bgp", {}, (it) => {
  it("the router's kernel has 10.254.254.1/32 with both nodes as next hops, equal in weight", async (lab) => {
    const route = (await readRoutes(lab.lab, "router")).find(({ prefix }) => prefix === `${VIP}/32`);
    assert.deepEqual(route?.nextHops.map(({ gateway, weight }) => `${gateway} weight ${weight}`).toSorted(), [
      "172.16.1.11 weight 1",
      "172.16.2.21 weight 1",
    ]);
  });

  it("curl on the router is balanced over the pods of both nodes, and answers as the walk-through says", async (lab) => {
    const pods = new Set<string>();
    await waitFor("answers from all four pods", async () => {
      const { stdout } = await lab.exec("router", "curl", "-s", "-m", "2", `http://${VIP}:18081/`);
      const answer = JSON.parse(stdout) as Record<string, unknown>;
      for (const field of ["pod_name", "pod_ip", "host_name", "client_ip"]) assert.ok(field in answer, stdout);
      pods.add(String(answer["pod_name"]));
      return pods.size === 4 ? true : undefined;
    });
  });

  it("a client behind the router is balanced over all pods", async (lab) => {
    const results = await lab.requests({ ...web, count: 200, concurrency: 10 });
    assert.deepEqual([...answersPerPod(results).keys()].toSorted(), ["web-1", "web-2", "web-3", "web-4"]);
    assert.equal(results.filter((each) => !each.ok).length, 0);
  });

  it("a new Service is announced, a deleted one withdrawn, and the other does not move", async (lab) => {
    await lab.write(
      "second.yaml",
      "apiVersion: v1\nkind: Service\nmetadata: { name: second }\nspec: { type: LoadBalancer, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }\n",
    );
    await waitForNextHops(lab.lab, "router", ["10.254.254.2"], ["master1", "worker1"]);
    await lab.remove("second.yaml");
    await waitForNextHops(lab.lab, "router", ["10.254.254.2"], []);
    assert.deepEqual(await nextHopsTo(lab.lab, "router", VIP), ["master1", "worker1"]);
    const { stdout } = await lab.exec("router", "vtysh", "-c", "show bgp summary json");
    const { ipv4Unicast } = JSON.parse(stdout) as {
      ipv4Unicast: { peers: Record<string, { connectionsDropped: number }> };
    };
    assert.deepEqual(
      Object.values(ipv4Unicast.peers).map(({ connectionsDropped }) => connectionsDropped),
      [0, 0],
    );
  });

  it("externalTrafficPolicy Local: only nodes with an endpoint announce", async (lab) => {
    await lab.write(
      "local.yaml",
      "apiVersion: v1\nkind: Service\nmetadata: { name: local }\nspec: { type: LoadBalancer, externalTrafficPolicy: Local, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }\n",
    );
    const address = await waitFor(
      "its address",
      async () => (await lab.services()).find(({ name }) => name === "local")?.addresses[0],
    );
    await waitForNextHops(lab.lab, "router", [address], ["master1", "worker1"]);
    await lab.conditions({ pods: { "web-3": "notReady", "web-4": "notReady" } });
    await waitForNextHops(lab.lab, "router", [address], ["master1"]);
    assert.deepEqual(await nextHopsTo(lab.lab, "router", VIP), ["master1", "worker1"]);
    await lab.conditions({});
    await waitForNextHops(lab.lab, "router", [address], ["master1", "worker1"]);
    await lab.remove("local.yaml");
    await waitForNextHops(lab.lab, "router", [address], []);
  });

  it("the agent says what it announces, to whom, and how its session fares", async (lab) => {
    const [peer] = (await lab.agent("worker1", "/v1/bgp/peers")) ?? [];
    assert.ok(peer !== undefined);
    const { name, state, peerAsn, localAsn, localAddress, announced, problems } = peer;
    assert.deepEqual(
      { name, state, peerAsn, localAsn, localAddress, announced, problems },
      {
        name: "test",
        state: "established",
        peerAsn: 7675,
        localAsn: 7776,
        localAddress: "172.16.2.21",
        announced: { IPv4: 1, IPv6: 0 },
        problems: [],
      },
    );
    const [route, ...others] = (await lab.agent("worker1", "/v1/bgp/routes")) ?? [];
    assert.deepEqual(route, {
      peer: "test",
      prefix: `${VIP}/32`,
      communities: [],
      services: ["default/web"],
      told: true,
    });
    assert.equal(others.length, 0);
    // The router tells each node what the other has told it.
    const received = (await lab.agent("worker1", "/v1/bgp/received")) ?? [];
    assert.deepEqual(received, [{ peer: "test", prefix: `${VIP}/32`, nextHop: "172.16.1.1" }]);
    const [service] = (await lab.agent("worker1", "/v1/services")) ?? [];
    assert.deepEqual(service?.bgpPeers, ["test"]);
    const file = join(lab.lab.paths.nodeState, "servicebgpstatuses", "worker1_default_web.json");
    const { status } = JSON.parse(await readFile(file, "utf8")) as { status: object };
    assert.deepEqual(status, { node: "worker1", serviceName: "web", serviceNamespace: "default", peers: ["test"] });
  });

  it("explain: every step of BGP is well; with the router's daemon away the session is the step that fails", async (lab) => {
    const explained = async () => {
      const document = await lab.agent("worker1", "/v1/explain", `?address=${VIP}`);
      assert.ok(document !== undefined);
      return document;
    };
    const steps = (await explained()).steps.filter(({ protocol }) => protocol === "bgp");
    assert.deepEqual(
      steps.map(({ step, result }) => `${step} ${result}`),
      ["advertisement ok", "nodes ok", "peers ok", "routes ok"],
    );
    assert.match(steps[3]?.found ?? "", /10\.254\.254\.1\/32, told/);
    assert.equal((await explained()).reachable, true);
    await lab.exec(
      "router",
      "vtysh",
      "-c",
      "configure",
      "-c",
      "router bgp 7675",
      "-c",
      "neighbor 172.16.2.21 shutdown",
    );
    await waitFor("the failing step", async () => {
      const { reachable, steps: now } = await explained();
      const failed = now.find(({ result, protocol }) => result === "failed" && protocol === "bgp");
      return !reachable && failed?.step === "peers" ? true : undefined;
    });
    await lab.exec(
      "router",
      "vtysh",
      "-c",
      "configure",
      "-c",
      "router bgp 7675",
      "-c",
      "no neighbor 172.16.2.21 shutdown",
    );
    await waitForNextHops(lab.lab, "router", [VIP], ["master1", "worker1"]);
  });

  it("fairlead node drain: others are preferred first, then its routes go, no request fails; a restart stays drained; undrain", async (lab) => {
    const socket = ["--socket", lab.lab.paths.socket("worker1"), "-o", "json"];
    const gshut = (path: FrrPath): boolean => /graceful-shutdown/.test(path.community?.string ?? "");
    const failed = await failuresDuring(lab, web, async () => {
      const drained = execute(FAIRLEAD, ["node", "drain", "--wait", ...socket]);
      const last = await waitFor("GRACEFUL_SHUTDOWN", async () =>
        (await frrPaths(lab, "router", `${VIP}/32`)).find(gshut),
      );
      assert.equal(last.locPrf, 0);
      await waitForNextHops(lab.lab, "router", [VIP], ["master1"]);
      const { bgp, routes } = JSON.parse((await drained).stdout) as DrainDocument;
      assert.deepEqual({ bgp, routes }, { bgp: "gone", routes: 0 });
      await waitFor("its path to go", async () =>
        (await frrPaths(lab, "router", `${VIP}/32`)).length === 1 ? true : undefined,
      );
    });
    assert.deepEqual(failed, []);
    const [service] = (await lab.agent("worker1", "/v1/services")) ?? [];
    assert.equal(service?.bgpReason, "nodeDraining");
    await restartedAgent(lab, "worker1", "router", web);
    assert.equal((await lab.agent("worker1", "/v1/status"))?.drain?.draining, true);
    assert.deepEqual(await nextHopsTo(lab.lab, "router", VIP), ["master1"]);
    await execute(FAIRLEAD, ["node", "undrain", ...socket]);
    await waitForNextHops(lab.lab, "router", [VIP], ["master1", "worker1"]);
  });
});

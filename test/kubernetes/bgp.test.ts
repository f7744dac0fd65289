/** Routes from a real cluster: Fairlead from its chart, objects by kubectl, FRR as the router, a client behind it. */
import assert from "node:assert/strict";
import { answersPerPod } from "../../lab/requests.ts";
import { SYSTEM_NAMESPACE } from "../../lab/kubernetes/install.ts";
import { kubectl } from "../../lab/kubernetes/nodes.ts";
import { nextHopsTo, readRoutes, waitForNextHops } from "../../lab/routes.ts";
import { waitFor } from "../../lab/wait.ts";
import { waitForAgents } from "../../lab/observe.ts";
import { labSuite, type TestLab } from "../lab/harness.ts";
import { failuresDuring, frrPeers, routeChangesDuring } from "../lab/routers.ts";

const VIP = "10.254.254.1";
const NODES = ["master1", "worker1"];
const web = { protocol: "HTTP", address: VIP, port: 18_081 } as const;
const SYSTEM = ["--namespace", SYSTEM_NAMESPACE];

const PEER = ["bgppeers.metallb.io", "test", ...SYSTEM];

const GRACEFUL = `apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: { name: test, namespace: ${SYSTEM_NAMESPACE} }
spec: { myASN: 7776, peerASN: 7675, peerAddress: 172.16.1.1, enableGracefulRestart: true }
`;

const local = (name: string): string =>
  `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: default }
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: { app: metallb-cluster }
  ports: [{ port: 80, targetPort: 8080 }]
`;

labSuite("BGP from a real cluster", "kubernetesbgp", {}, (it) => {
  it("the router has the address over both nodes, and a client behind it is balanced over all pods", async (lab) => {
    await waitForNextHops(lab.lab, "router", [VIP], NODES);
    const pods = await lab.pods();
    assert.equal(pods.length, 4);
    const results = await lab.requests({ ...web, count: 200, concurrency: 10 });
    assert.deepEqual(
      results.filter((each) => !each.ok),
      [],
    );
    assert.deepEqual([...answersPerPod(results).keys()].toSorted(), pods.map(({ name }) => name).toSorted());
  });

  it("kubectl shows what each node announces, and to whom", async ({ lab }) => {
    const words = ["get", "servicebgpstatuses.metallb.io", ...SYSTEM, "--output=json"];
    const statuses = await waitFor("a status of each node", async () => {
      const { items } = JSON.parse(await kubectl(lab, words)) as { items: { status: Record<string, unknown> }[] };
      return items.length === NODES.length ? items.map(({ status }) => status) : undefined;
    });
    assert.deepEqual(
      statuses.toSorted((a, b) => (String(a["node"]) < String(b["node"]) ? -1 : 1)),
      NODES.map((node) => ({ node, serviceName: "web", serviceNamespace: "default", peers: ["test"] })),
    );
  });

  it("externalTrafficPolicy Local: a node without a ready pod withdraws its route, and clients keep their addresses", async (lab) => {
    await lab.write("local.yaml", local("local"));
    const address = await waitFor("its address", async () => (await lab.services()).find(({ name }) => name === "local")?.addresses[0]); // prettier-ignore
    await waitForNextHops(lab.lab, "router", [address], NODES);
    const clients = await seenClients(lab, address);
    assert.deepEqual([...clients], ["172.16.9.50"]);
    const onWorker = (await lab.pods()).filter(({ node }) => node === "worker1");
    await lab.conditions({ pods: Object.fromEntries(onWorker.map(({ name }) => [name, "notReady"])) });
    await waitForNextHops(lab.lab, "router", [address], ["master1"]);
    assert.deepEqual(await nextHopsTo(lab.lab, "router", VIP), NODES);
    await lab.conditions({});
    await waitForNextHops(lab.lab, "router", [address], NODES);
    await lab.remove("local.yaml");
    await waitForNextHops(lab.lab, "router", [address], []);
  });

  it("with graceful restart the DaemonSet is rolled out under requests: none is lost, and no route changes", async (lab) => {
    // Without it the router sends what is under way to the other node while a session is away: a request in a few hundred ends.
    await kubectl(lab.lab, ["delete", ...PEER]);
    await waitFor("the routes to go", async () => ((await readRoutes(lab.lab, "router")).length === 0 ? true : undefined)); // prettier-ignore
    await lab.write("peer.yaml", GRACEFUL);
    await waitForNextHops(lab.lab, "router", [VIP], NODES);
    let failures: readonly unknown[] = [];
    const changes = await routeChangesDuring(lab, "router", VIP, async () => {
      failures = await failuresDuring(lab, web, async () => {
        await kubectl(lab.lab, ["rollout", "restart", "daemonset/fairlead-agent", ...SYSTEM]);
        await kubectl(lab.lab, ["rollout", "status", "daemonset/fairlead-agent", ...SYSTEM, "--timeout=170s"]);
        await waitForAgents(lab.lab);
        await waitFor("both sessions", async () => {
          const states = Object.values(await frrPeers(lab, "router")).map(({ state }) => state);
          return states.length === 2 && states.every((state) => state === "Established") ? true : undefined;
        });
      });
    });
    assert.deepEqual([failures, changes], [[], []]);
  });

  it("a peer that is deleted takes the routes with it, and one that comes back brings them", async (lab) => {
    const text = await kubectl(lab.lab, ["get", ...PEER, "--output=jsonpath={.spec.peerAddress}"]);
    assert.equal(text, "172.16.1.1");
    await kubectl(lab.lab, ["delete", ...PEER]);
    await waitFor("the routes to go", async () => ((await readRoutes(lab.lab, "router")).length === 0 ? true : undefined)); // prettier-ignore
    await kubectl(lab.lab, ["apply", "--filename", "examples/bgp/peer.yaml"]);
    await waitForNextHops(lab.lab, "router", [VIP], NODES);
  });
});

/** The addresses that pods say their clients have. */
async function seenClients(lab: TestLab, address: string): Promise<ReadonlySet<string>> {
  const results = await lab.requests({ protocol: "HTTP", address, port: 80, count: 40, concurrency: 5 });
  assert.ok(results.every(({ ok }) => ok));
  return new Set(results.map((result) => result.client_ip ?? ""));
}

/** What clients of a Service see, over both families and both protocols, with pods behind our veths and behind a foreign bridge. */
import assert from "node:assert/strict";
import { answersPerPod } from "../../lab/requests.ts";
import type { RequestResult } from "../../lab/requester.ts";
import { waitFor } from "../../lab/wait.ts";
import { answersDuring, sequence } from "./answers.ts";
import { labSuite } from "./harness.ts";
import type { TestLab } from "./harness.ts";

type Family = "IPv4" | "IPv6";

const CLIENT = { IPv4: "192.168.10.250", IPv6: "fc00:f853:ccd:e799::f250" } as const;
const NODES: Readonly<Record<string, Readonly<Record<Family, string>>>> = {
  "kind-control-plane": { IPv4: "192.168.10.201", IPv6: "fc00:f853:ccd:e799::f201" },
  worker1: { IPv4: "192.168.10.202", IPv6: "fc00:f853:ccd:e799::f202" },
  worker2: { IPv4: "192.168.10.203", IPv6: "fc00:f853:ccd:e799::f203" },
};
const EVERY_POD = ["web-1", "web-2", "web-3", "web-4", "web-5", "web-6"];

const WAYS = [
  { name: "HTTP over IPv4", service: "dual-stack", family: "IPv4", protocol: "HTTP", port: 80 },
  { name: "HTTP over IPv6", service: "dual-stack", family: "IPv6", protocol: "HTTP", port: 80 },
  { name: "plain TCP over IPv4", service: "dual-stack", family: "IPv4", protocol: "TCP", port: 9000 },
  { name: "plain TCP over IPv6", service: "dual-stack", family: "IPv6", protocol: "TCP", port: 9000 },
  { name: "UDP over IPv4", service: "dual-stack", family: "IPv4", protocol: "UDP", port: 53 },
  { name: "UDP over IPv6", service: "dual-stack", family: "IPv6", protocol: "UDP", port: 53 },
  {
    name: "the example's Service, unchanged",
    service: "metallb1-cluster",
    family: "IPv4",
    protocol: "HTTP",
    port: 18081,
  },
  { name: "a UDP Service", service: "datagrams", family: "IPv4", protocol: "UDP", port: 5353 },
] as const;

for (const scene of ["l2", "bridged"]) {
  labSuite(`Services in scene ${scene}`, scene, {}, (it) => {
    for (const way of WAYS) {
      it(`${way.name}: every pod answers, and sees the client where it is on the announcing node`, async (lab) => {
        const address = await lab.address(way.service, way.family);
        const announcer = await lab.announcer(address, way.port);
        const results = await lab.requests({ ...way, address, count: 150, concurrency: 5 });
        assertAllAnswered(results, 150);
        assert.deepEqual([...answersPerPod(results).keys()].toSorted(), EVERY_POD);
        for (const result of results) assertSeen(result, announcer, way.family);
        assertPortsKept(results.filter((each) => each.host_name === announcer));
      });
    }

    it("externalTrafficPolicy Local: only pods of the announcing node answer, and they see the client", async (lab) => {
      for (const family of ["IPv4", "IPv6"] as const) {
        const address = await lab.address("local-only", family);
        const announcer = await lab.announcer(address, 80);
        const results = await lab.requests({ protocol: "HTTP", address, port: 80, count: 60, concurrency: 5 });
        assertAllAnswered(results, 60);
        assert.equal(answersPerPod(results).size, 2);
        for (const result of results) {
          assert.equal(result.host_name, announcer);
          assert.equal(result.client_ip, CLIENT[family]);
        }
        assertPortsKept(results);
      }
    });

    for (const [service, port] of [
      ["metallb1-cluster", 18081],
      ["at-random", 80],
    ] as const) {
      it(`1,000 connections to ${service} are spread evenly over its pods`, async (lab) => {
        const results = await lab.requests({
          protocol: "HTTP",
          address: await lab.address(service),
          port,
          count: 1000,
          concurrency: 20,
        });
        assertAllAnswered(results, 1000);
        const counts = EVERY_POD.map((pod) => answersPerPod(results).get(pod) ?? 0);
        // Pearson's test with five degrees of freedom: an even choice exceeds 40 once in seven million runs.
        const expected = 1000 / counts.length;
        const deviation = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
        assert.ok(deviation < 40, `${counts.join(" ")}: ${deviation.toFixed(1)}`);
      });
    }

    it("a port that no Service has is refused, over TCP and UDP and both families", async (lab) => {
      for (const family of ["IPv4", "IPv6"] as const) {
        const address = await lab.address("dual-stack", family);
        for (const protocol of ["TCP", "UDP"] as const) {
          const [result] = await lab.requests({ protocol, address, port: 81 });
          assert.equal(result?.error, "ECONNREFUSED", `${protocol} ${address}`);
        }
      }
    });

    it("pods and nodes talk to each other as without us", async (lab) => {
      const direct = { protocol: "HTTP", port: 8080 } as const;
      assert.equal((await lab.ask({ ...direct, address: "10.244.2.2" }, "web-1")).client_ip, "10.244.0.2");
      assert.equal((await lab.ask({ ...direct, address: "fd00:10:244:2::2" }, "web-1")).client_ip, "fd00:10:244::2");
      assert.equal((await lab.ask({ ...direct, address: "10.244.0.3" }, "web-1")).client_ip, "10.244.0.2");
      assert.equal((await lab.ask({ ...direct, address: "10.244.2.2" }, "worker1")).client_ip, "192.168.10.202");
      assert.equal((await lab.ask({ ...direct, address: "10.244.1.2" })).client_ip, CLIENT.IPv4);
      assert.equal((await lab.ask({ ...direct, address: "fd00:10:244:1::2" })).client_ip, CLIENT.IPv6);
    });

    it("exactly one node answers for an address, and it is the one that the agents say", async (lab) => {
      for (const family of ["IPv4", "IPv6"] as const) {
        const address = await lab.address("dual-stack", family);
        const answers = await answersDuring(lab, address, () => new Promise((resolve) => setTimeout(resolve, 1000)));
        assert.ok(answers.length >= 5, `${answers.length} answers in a second of asking`);
        const rows = await Promise.all(Object.keys(NODES).map((node) => lab.agent(node, "/v1/services")));
        const announcers = rows.map((services) => services?.find((each) => each.name === "dual-stack")?.announcer);
        assert.deepEqual(new Set(announcers), new Set(sequence(answers)), family);
        assert.equal(sequence(answers).length, 1, `${family}: ${sequence(answers).join(" ")}`);
      }
    });

    it("no address of a Service is configured on any device", async (lab) => {
      const services = await lab.services();
      assert.ok(services.length >= 5);
      for (const node of Object.keys(NODES)) {
        const { stdout } = await lab.exec(node, "ip", "-o", "addr");
        for (const address of services.flatMap((each) => each.addresses))
          assert.ok(!stdout.includes(` ${address}/`), `${address} on ${node}`);
      }
    });

    it("a Service without a pod is refused where a packet for it arrives nevertheless", async (lab) => {
      await lab.write("nobody.yaml", NOBODY);
      const { addresses } = await waitForService(lab, "nobody");
      const [address = ""] = addresses;
      // No node announces it: the neighbor entry is made by hand.
      const mac = lab.lab.plan.cables.find((each) => each.near.member === "worker1")?.near.mac ?? "";
      await lab.exec("client", "ip", "neigh", "replace", address, "lladdr", mac, "dev", "eth0");
      const refused = await lab.askUntil(
        "a refusal",
        { protocol: "TCP", address, port: 80 },
        (result) => result.error === "ECONNREFUSED",
      );
      assert.equal(refused.ok, false);
      await lab.exec("client", "ip", "neigh", "del", address, "dev", "eth0");
      await lab.remove("nobody.yaml");
    });
  });
}

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
    const [result] = await lab.requests({ protocol: "TCP", address: CLIENT.IPv4, port: 1 }, "web-3");
    assert.equal(result?.error, "ECONNREFUSED");
  });
});

const NOBODY = `
apiVersion: v1
kind: Service
metadata: { name: nobody }
spec:
  type: LoadBalancer
  ports: [{ port: 80, targetPort: 8080 }]
  selector: { app: nobody }
`;

async function waitForService(lab: TestLab, name: string): Promise<{ readonly addresses: readonly string[] }> {
  return waitFor(`an address for ${name}`, async () =>
    (await lab.services()).find((each) => each.name === name && each.addresses.length > 0),
  );
}

function assertAllAnswered(results: readonly RequestResult[], count: number): void {
  assert.equal(results.length, count);
  const failed = results.filter((each) => !each.ok);
  assert.deepEqual(failed.slice(0, 3), [], `${failed.length} of ${count} failed`);
}

/** On the announcing node the client's own address arrives; elsewhere the announcing node's, because there the reply must come back to it. */
function assertSeen(result: RequestResult, announcer: string, family: Family): void {
  assert.equal((result.pod_ip ?? "").includes(":"), family === "IPv6");
  if (result.host_name === announcer) {
    assert.equal(result.client_ip, CLIENT[family]);
  } else {
    assert.equal(result.client_ip, NODES[announcer]?.[family], `${result.pod_name} on ${result.host_name}`);
  }
}

/**
 * Where nothing else is translated the source port stays as well - unless the client has used the same one for another Service in front
 * of the same pod, which a few of many do.
 */
function assertPortsKept(results: readonly RequestResult[]): void {
  const kept = results.filter((each) => each.client_port === each.sourcePort).length;
  assert.ok(results.length > 0 && kept >= results.length * 0.9, `${kept} of ${results.length} source ports kept`);
}

async function exampleRequests(lab: TestLab): Promise<void> {
  const results = await lab.requests({
    protocol: "HTTP",
    address: await lab.address("metallb1-cluster"),
    port: 18081,
    count: 60,
    concurrency: 5,
  });
  assertAllAnswered(results, 60);
}

/** Of all agents together, by name in lower case without separators. */
async function verdicts(lab: TestLab): Promise<Readonly<Record<string, number>>> {
  const sums: Record<string, number> = {};
  for (const node of Object.keys(NODES)) {
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

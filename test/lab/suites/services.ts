/** What clients of a Service see, over both families and both protocols. */
import assert from "node:assert/strict";
import { answersPerPod } from "../../../lab/requests.ts";
import type { RequestResult } from "../../../lab/requester.ts";
import { waitFor } from "../../../lab/wait.ts";
import { answersDuring, sequence } from "../answers.ts";
import type { DefineTest, TestLab } from "../harness.ts";

type Family = "IPv4" | "IPv6";

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

export function testServices(it: DefineTest): void {
  for (const way of WAYS) {
    it(`${way.name}: every pod answers, and sees the client where it is on the announcing node`, async (lab) => {
      const address = await lab.address(way.service, way.family);
      const announcer = await lab.announcer(address, way.port);
      const results = await lab.requests({ ...way, address, count: 150, concurrency: 5 });
      assertAllAnswered(results, 150);
      assert.deepEqual([...answersPerPod(results).keys()].toSorted(), await podNames(lab));
      for (const result of results) assertSeen(lab, result, announcer, way.family);
      assertPortsKept(results.filter((each) => each.host_name === announcer));
    });
  }

  it("externalTrafficPolicy Local: only pods of the announcing node answer, and they see the client", async (lab) => {
    for (const family of ["IPv4", "IPv6"] as const) {
      const address = await lab.address("local-only", family);
      const announcer = await lab.announcer(address, 80);
      const results = await lab.requests({ protocol: "HTTP", address, port: 80, count: 60, concurrency: 5 });
      assertAllAnswered(results, 60);
      const own = (await lab.pods()).filter(({ node }) => node === announcer);
      assert.ok(own.length >= 2, `${own.length} pods on ${announcer}`);
      assert.deepEqual([...answersPerPod(results).keys()].toSorted(), own.map(({ name }) => name).toSorted());
      for (const result of results) {
        assert.equal(result.host_name, announcer);
        assert.equal(result.client_ip, lab.hostAddress(lab.client, family));
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
      const counts = (await podNames(lab)).map((pod) => answersPerPod(results).get(pod) ?? 0);
      // Pearson's test with five degrees of freedom or less: an even choice exceeds 40 once in seven million runs.
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
    const pods = await lab.pods();
    const [first, other] = [pods[0], pods.find(({ node }) => node !== pods[0]?.node)];
    const beside = pods.find(({ node, name }) => node === first?.node && name !== first.name);
    assert.ok(first !== undefined && beside !== undefined && other !== undefined, JSON.stringify(pods));
    const direct = { protocol: "HTTP", port: 8080 } as const;
    for (const [index, family] of (["IPv4", "IPv6"] as const).entries()) {
      const own: string = first.addresses[index] ?? "";
      const near: string = beside.addresses[index] ?? "";
      const far: string = other.addresses[index] ?? "";
      const outside: string = lab.cluster.hidesPods ? lab.hostAddress(first.node, family) : own;
      const seen = async (address: string): Promise<unknown> =>
        (await lab.askFromPod({ ...direct, address }, first.name)).client_ip;
      assert.equal(await seen(far), outside);
      assert.equal(await seen(near), own);
      const ofNode = await lab.ask({ ...direct, address: far }, first.node);
      assert.equal(ofNode.client_ip, lab.hostAddress(first.node, family));
      const ofClient = await lab.ask({ ...direct, address: far });
      assert.equal(ofClient.client_ip, lab.hostAddress(lab.client, family));
    }
  });

  it("exactly one node answers for an address, and it is the one that the agents say", async (lab) => {
    for (const family of ["IPv4", "IPv6"] as const) {
      const address = await lab.address("dual-stack", family);
      const answers = await answersDuring(lab, address, () => new Promise((resolve) => setTimeout(resolve, 1000)));
      assert.ok(answers.length >= 5, `${answers.length} answers in a second of asking`);
      const rows = await Promise.all(lab.nodes.map((node) => lab.agent(node, "/v1/services")));
      const announcers = rows.map((services) => services?.find((each) => each.name === "dual-stack")?.announcer);
      assert.deepEqual(new Set(announcers), new Set(sequence(answers)), family);
      assert.equal(sequence(answers).length, 1, `${family}: ${sequence(answers).join(" ")}`);
    }
  });

  it("no address of a Service is configured on any device", async (lab) => {
    const services = await lab.services();
    assert.ok(services.length >= 5);
    for (const node of lab.nodes) {
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
}

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
function assertSeen(lab: TestLab, result: RequestResult, announcer: string, family: Family): void {
  assert.equal((result.pod_ip ?? "").includes(":"), family === "IPv6");
  const seen = lab.hostAddress(result.host_name === announcer ? lab.client : announcer, family);
  assert.equal(result.client_ip, seen, `${result.pod_name} on ${result.host_name}`);
}

async function podNames(lab: TestLab): Promise<readonly string[]> {
  return (await lab.pods()).map(({ name }) => name).toSorted();
}

/**
 * Where nothing else is translated the source port stays as well - unless the client has used the same one for another Service in front
 * of the same pod, which a few of many do.
 */
function assertPortsKept(results: readonly RequestResult[]): void {
  const kept = results.filter((each) => each.client_port === each.sourcePort).length;
  assert.ok(results.length > 0 && kept >= results.length * 0.9, `${kept} of ${results.length} source ports kept`);
}

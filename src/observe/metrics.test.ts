import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics, type MetricsSource } from "./metrics.ts";

function source(changed: Partial<MetricsSource> = {}): MetricsSource {
  return {
    node: "worker1",
    version: "0.1.0",
    verdicts: () => ({ forwarded: 12, drop_no_route: 1 }),
    drops: () => [
      { verdict: "drop_no_route", service: "default/web", count: 1 },
      { verdict: "drop_bad_probe", count: 2 },
    ],
    counts: () => ({ services: 1, frontends: 2, backends: 3, announced: 1, endpoints: 0 }),
    flows: () => 8,
    announced: () => [{ service: "default/web", ip: "192.168.10.0" }],
    unserved: () => 2,
    asked: () => [{ ip: "192.168.10.0", requests: 7, answers: 5 }],
    peers: () => [
      { name: "worker2", state: "alive" },
      { name: "worker3", state: "gone" },
    ],
    isolated: () => false,
    stampSeconds: () => 59.5,
    lastReconcile: () => ({ atSeconds: 1000, durationSeconds: 0.25, operations: 4 }),
    problems: () => [{ subject: "Service default/web", message: "no room" }],
    configurationProblems: () => [{ subject: "BGPPeer metallb-system/a", message: "missing local ASN" }],
    synced: () => true,
    ...changed,
  };
}

async function lines(metrics: ReturnType<typeof createMetrics>): Promise<string[]> {
  const { text } = await metrics.scrape();
  return text.split("\n").filter((line) => /^(fairlead|metallb)_/.test(line));
}

test("a scrape tells every number, under MetalLB's names where they mean the same", async () => {
  const found = await lines(createMetrics(source()));
  for (const line of [
    'fairlead_packets_total{verdict="forwarded"} 12',
    'fairlead_refused_packets_total{verdict="drop_no_route",service="default/web"} 1',
    'fairlead_refused_packets_total{verdict="drop_bad_probe",service=""} 2',
    'fairlead_objects{kind="backends"} 3',
    "fairlead_flows 8",
    'metallb_speaker_announced{service="default/web",protocol="layer2",node="worker1",ip="192.168.10.0"} 1',
    'metallb_layer2_requests_received{ip="192.168.10.0"} 7',
    'metallb_layer2_responses_sent{ip="192.168.10.0"} 5',
    "fairlead_services_unserved 2",
    'fairlead_peers{state="alive"} 1',
    'fairlead_peers{state="abandoned"} 0',
    'fairlead_peers{state="gone"} 1',
    "fairlead_isolated 0",
    "fairlead_stamp_seconds 59.5",
    'fairlead_build_info{node="worker1",version="0.1.0"} 1',
    "fairlead_last_reconcile_timestamp_seconds 1000",
    "fairlead_problems 1",
    "metallb_k8s_client_config_stale_bool 1",
    "metallb_k8s_client_config_loaded_bool 1",
  ]) {
    assert.ok(found.includes(line), `missing: ${line}`);
  }
});

test("totals are the kernel's, not the sum of the scrapes", async () => {
  const metrics = createMetrics(source());
  await metrics.scrape();
  assert.ok((await lines(metrics)).includes('fairlead_packets_total{verdict="forwarded"} 12'));
});

test("an announcement that is withdrawn leaves no series behind", async () => {
  let announced = [{ service: "default/web", ip: "192.168.10.0" }];
  const metrics = createMetrics(source({ announced: () => announced }));
  await metrics.scrape();
  announced = [];
  assert.equal(
    (await lines(metrics)).some((line) => line.startsWith("metallb_speaker_announced")),
    false,
  );
});

test("two agents in one process do not mix their numbers", async () => {
  const one = createMetrics(source());
  const other = createMetrics(source({ node: "worker2" }));
  one.gratuitousSent.inc({ ip: "192.168.10.0" });
  assert.equal(
    (await lines(other)).some((line) => line.startsWith("metallb_layer2_gratuitous_sent{")),
    false,
  );
  assert.ok((await lines(one)).includes('metallb_layer2_gratuitous_sent{ip="192.168.10.0"} 1'));
});

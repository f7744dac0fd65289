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
    announced: () => [{ service: "default/web", protocol: "layer2" as const, ip: "192.168.10.0" }],
    unserved: () => 2,
    asked: () => [{ ip: "192.168.10.0", requests: 7, answers: 5 }],
    peers: () => [
      { name: "worker2", state: "alive" },
      { name: "worker3", state: "gone" },
    ],
    isolated: () => false,
    drained: () => true,
    stampSeconds: () => 59.5,
    lastReconcile: () => ({ atSeconds: 1000, durationSeconds: 0.25, operations: 4 }),
    problems: () => [{ subject: "Service default/web", message: "no room" }],
    configurationProblems: () => [{ subject: "BGPPeer metallb-system/a", message: "missing local ASN" }],
    synced: () => true,
    hazards: () => [
      { check: "MTU", level: "advice" },
      { check: "AddressHeld", level: "problem" },
      { check: "AddressHeld", level: "problem" },
    ],
    bgpSessions: () => [],
    bfdSessions: () => Promise.resolve([]),
    bmp: () => ({ connected: true, dumps: 2, overflows: 1 }),
    droppedSegments: () => ({ md5Failure: 3 }),
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
    'fairlead_node_hazards{check="MTU",level="advice"} 1',
    'fairlead_node_hazards{check="AddressHeld",level="problem"} 2',
    "fairlead_drained 1",
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
  let announced = [{ service: "default/web", protocol: "layer2" as const, ip: "192.168.10.0" }];
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

const session = {
  name: "tor",
  peer: "172.16.1.1",
  port: 179,
  state: "established",
  announced: { IPv4: 2, IPv6: 1 },
  received: { IPv4: 4, IPv6: 0 },
  pending: 1,
  counters: {
    sent: { open: 1, update: 5, notification: 0, keepalive: 9, routeRefresh: 0 },
    received: { open: 1, update: 2, notification: 0, keepalive: 8, routeRefresh: 1 },
    established: 1,
    faults: { "received 6/2": 1 },
  },
};

test("BFD sessions are told, also how near they came to their end", async () => {
  const bfd = {
    peer: "172.16.1.1",
    state: "up",
    sent: 20,
    received: 19,
    flaps: 2,
    longestGapMilliseconds: 61,
    discarded: { ttl: 1 },
    echo: { sent: 7, returned: 6 },
  };
  const found = await lines(createMetrics(source({ bfdSessions: () => Promise.resolve([bfd]) })));
  for (const line of [
    'metallb_bfd_session_up{peer="172.16.1.1",vrf=""} 1',
    'metallb_bfd_control_packet_input{peer="172.16.1.1",vrf=""} 19',
    'metallb_bfd_control_packet_output{peer="172.16.1.1",vrf=""} 20',
    'metallb_bfd_echo_packet_output{peer="172.16.1.1",vrf=""} 7',
    'metallb_bfd_echo_packet_input{peer="172.16.1.1",vrf=""} 6',
    'metallb_bfd_session_up_events{peer="172.16.1.1",vrf=""} 3',
    'metallb_bfd_session_down_events{peer="172.16.1.1",vrf=""} 2',
    'fairlead_bfd_longest_gap_milliseconds{peer="172.16.1.1",vrf=""} 61',
    'fairlead_bfd_discarded_packets_total{peer="172.16.1.1",reason="ttl"} 1',
  ]) {
    assert.ok(found.includes(line), `missing: ${line}`);
  }
});

test("BGP sessions are told under the names of both of MetalLB's modes", async () => {
  const six = { ...session, name: "six", peer: "fd00::1", port: 1179, vrf: "red", state: "active" };
  const found = await lines(createMetrics(source({ bgpSessions: () => [session, six] })));
  for (const line of [
    'metallb_bgp_session_up{peer="172.16.1.1:179",vrf=""} 1',
    'metallb_bgp_session_up{peer="[fd00::1]:1179",vrf="red"} 0',
    'metallb_bgp_announced_prefixes_total{peer="172.16.1.1:179",vrf=""} 3',
    'metallb_bgp_pending_prefixes_total{peer="172.16.1.1:179",vrf=""} 1',
    'metallb_bgp_updates_total{peer="172.16.1.1:179",vrf=""} 5',
    'metallb_bgp_updates_total_received{peer="172.16.1.1:179",vrf=""} 2',
    'metallb_bgp_opens_sent{peer="172.16.1.1:179",vrf=""} 1',
    'metallb_bgp_opens_received{peer="172.16.1.1:179",vrf=""} 1',
    'metallb_bgp_notifications_sent{peer="172.16.1.1:179",vrf=""} 0',
    'metallb_bgp_keepalives_sent{peer="172.16.1.1:179",vrf=""} 9',
    'metallb_bgp_keepalives_received{peer="172.16.1.1:179",vrf=""} 8',
    'metallb_bgp_route_refresh_sent{peer="172.16.1.1:179",vrf=""} 0',
    'metallb_bgp_total_sent{peer="172.16.1.1:179",vrf=""} 15',
    'metallb_bgp_total_received{peer="172.16.1.1:179",vrf=""} 12',
    'fairlead_bgp_established_total{peer="172.16.1.1:179",vrf=""} 1',
    'fairlead_bgp_received_prefixes{peer="172.16.1.1:179",vrf="",family="IPv4"} 4',
    'fairlead_bgp_faults_total{peer="172.16.1.1:179",vrf="",fault="received 6/2"} 1',
    'fairlead_tcp_dropped_segments_total{reason="md5Failure"} 3',
    "fairlead_bmp_up 1",
    "fairlead_bmp_dumps_total 2",
    "fairlead_bmp_overflows_total 1",
  ]) {
    assert.ok(found.includes(line), `missing: ${line} in\n${found.filter((one) => /bgp|bfd/.test(one)).join("\n")}`);
  }
});

test("a session that is no longer configured leaves no series behind", async () => {
  let sessions = [session];
  const metrics = createMetrics(source({ bgpSessions: () => sessions }));
  await metrics.scrape();
  sessions = [];
  assert.deepEqual(
    (await lines(metrics)).filter((line) => line.includes("172.16.1.1")),
    [],
  );
});

test("passes are counted by their result, and under the names that MetalLB counts its updates by", async () => {
  const metrics = createMetrics(source({}));
  for (const result of ["done", "failed", "done"] as const) metrics.passed(result);
  const found = await lines(metrics);
  for (const line of [
    'fairlead_reconciles_total{result="done"} 2',
    'fairlead_reconciles_total{result="failed"} 1',
    "metallb_k8s_client_updates_total 3",
    "metallb_k8s_client_update_errors_total 1",
  ])
    assert.ok(found.includes(line), `missing: ${line}`);
});

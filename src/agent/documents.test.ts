import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { electAddresses } from "../announce/announcements.ts";
import { ANOTHER } from "../announce/contest.ts";
import type { Election } from "../announce/election.ts";
import { flow, flow_flag, flow_key, runtime } from "../datapath/abi.generated.ts";
import { viewOf, writeAddress } from "../datapath/encode.ts";
import { address } from "../net/address.ts";
import { formatProblem } from "../net/problem.ts";
import { serviceSchema, type Service } from "../service/objects.ts";
import { emptyMemo, placeAnnouncements, type Me } from "./desired.ts";
import { documents } from "./documents.ts";
import { metricsSource, addressOfGratuitous } from "./measure.ts";
import { runPass, type PassParts } from "./pass.ts";
import { initialState, type AgentState } from "./state.ts";
import { memoryMaps, sha256, world } from "./world.fixture.ts";
import { gratuitousArp } from "../protocol/arp/packet.ts";
import { unsolicitedAdvertisement } from "../protocol/ndp/packet.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

const NONE = new Map<string, string>();
let state: AgentState;
let parts: PassParts;

beforeEach(() => {
  const maps = memoryMaps();
  state = { ...initialState({ node: "me", version: "0.1.0", maps }), nowNs: () => 100_000_000_000n };
  const peer = {
    name: "peer",
    address: address("192.168.10.202"),
    state: "alive",
    remainingMilliseconds: 59_500,
    lastAnswerMilliseconds: 80,
    problem: undefined,
    away: false,
  } as const;
  state.membership = () => seeing(["me", "peer"], { peers: [peer] });
  parts = {
    state,
    me,
    memo: emptyMemo(),
    attacher: { apply: () => ({ devices: [], problems: [] }) },
    announce: (): void => {},
  };
  runPass(parts, world({ web: "192.168.10.0" }));
});

function putFlow(): void {
  const key = viewOf(new Uint8Array(flow_key.size));
  const value = viewOf(new Uint8Array(flow.size));
  writeAddress(key, flow_key.offset.source, address("192.168.10.250"));
  writeAddress(key, flow_key.offset.destination, address("192.168.10.0"));
  key.setUint16(flow_key.offset.destination_port, 80);
  key.setUint8(flow_key.offset.protocol, 6);
  writeAddress(value, flow.offset.source, address("192.168.10.201"));
  writeAddress(value, flow.offset.destination, address("10.244.1.2"));
  value.setUint32(flow.offset.ifindex, 2, true);
  value.setUint32(flow.offset.service_id, 1, true);
  value.setUint32(flow.offset.seen_seconds, 97, true);
  value.setUint16(flow.offset.flags, flow_flag.FLOW_SNAT, true);
  state.maps.flows.put(new Uint8Array(key.buffer), new Uint8Array(value.buffer), 1);
}

const me: Me = {
  nodeName: "me",
  sha256,
  devices: { exclude: /^lo$/, only: undefined },
  ignoreExcludeLabel: false,
  handover: false,
};

describe("documents", () => {
  test("status counts what the kernel holds", () => {
    state.maps.runtime.setBigUint64(runtime.offset.valid_until_ns, 160_000_000_000n, true);
    const status = documents(state, me)["/v1/status"](NONE);
    assert.deepEqual(status.counts, { services: 1, frontends: 1, backends: 2, announced: 1, endpoints: 1 });
    assert.equal(status.stamp.validUntilSeconds, 60);
    assert.deepEqual(status.membership, { isolated: false, peers: 1 });
    assert.equal(status.ready, false, "no pass has ended yet");
  });

  test("a stamp that ran out has nothing left, not less", () => {
    state.maps.runtime.setBigUint64(runtime.offset.valid_until_ns, 1n, true);
    assert.equal(documents(state, me)["/v1/status"](NONE).stamp.validUntilSeconds, 0);
  });

  test("services tell who announces them, or why nobody does", async () => {
    const [row] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
    assert.equal(row?.name, "web");
    assert.equal(row?.announcer, "me");
    assert.deepEqual(row?.backends, { active: 2, notReady: 0, terminating: 0, local: 1 });
    state.announcing = {
      ...state.announcing,
      elections: new Map([["default/web", { addresses: [], reason: "noEndpoints" }]]),
    };
    const [silent] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
    assert.equal(silent?.announceReason, "noEndpoints");
    assert.equal(silent !== undefined && "announcer" in silent, false);
  });

  test("services tell who announces each address where another Service shares one and decides for it", async () => {
    const elections = new Map<string, Election>([
      ["default/web", { announcer: "me", addresses: [address("fc00::1"), address("192.168.10.0")], interfaces: "all" }],
      ["default/other", { announcer: "peer", addresses: [address("192.168.10.0")], interfaces: "all" }],
    ]);
    state.announcing = { ...state.announcing, elections, addresses: electAddresses(elections) };
    const [row] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
    assert.equal(row?.announcer, "me");
    assert.deepEqual(row?.announcers, [
      { address: "fc00::1", node: "me" },
      { address: "192.168.10.0", node: "peer" },
    ]);
  });

  test("services tell which other node announces, who asks meanwhile too", async () => {
    runPass(parts, world({ web: "192.168.10.0", api: "192.168.10.1" }, {}, ["peer"]));
    const producers = documents(state, me);
    const answers = await Promise.all([1, 2].map(async () => Array.fromAsync(producers["/v1/services"](NONE))));
    for (const rows of answers)
      assert.deepEqual(new Set([...rows].flatMap((row) => row?.announcer ?? [])), new Set(["peer"]));
    const { addresses } = state.announcing;
    assert.deepEqual(new Set([...addresses.values()].map(({ announcer }) => announcer)), new Set([ANOTHER]));
  });

  test("services and status tell what nobody answers for, and why", async () => {
    state.placed = placeAnnouncements(
      [{ address: address("192.168.10.0"), services: ["default/web"], interfaces: ["eth7"] }],
      [],
    );
    const [row] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
    assert.deepEqual([row?.announcer, row?.announceReason, row?.addressReason], [undefined, "noInterface", undefined]);
    assert.deepEqual(documents(state, me)["/v1/status"](NONE).unserved, {
      count: 1,
      first: [{ service: "default/web", reason: "noInterface" }],
    });
  });

  test("services and status tell in the controller's words why one has no address, or that it said nothing", async () => {
    const said = [{ type: "fairlead.io/AddressAssigned", status: "False", message: "no available IPs" }];
    const expected: readonly (readonly [conditions: readonly object[], reason: RegExp])[] = [
      [said, /^no available IPs$/],
      [[], /^no controller has given it an address/],
    ];
    for (const [conditions, reason] of expected) {
      const waiting = serviceSchema.parse({
        metadata: { name: "web" },
        spec: { type: "LoadBalancer" },
        status: { conditions },
      });
      runPass(parts, world({}, { services: new Map([["default/web", waiting]]) }));
      const [row] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
      assert.match(row?.addressReason ?? "", reason);
      assert.equal(row?.announceReason, "noAddress");
      const [first] = documents(state, me)["/v1/status"](NONE).unserved.first;
      assert.match(first?.reason.replace("no address: ", "") ?? "", reason);
    }
  });

  test("services that nobody answers for are told by name, the first ten of them", () => {
    const names = Array.from({ length: 25 }, (_, n) => `default/web${String((n * 7) % 25).padStart(2, "0")}`);
    const of = (key: string): Service =>
      serviceSchema.parse({ metadata: { name: key.slice("default/".length) }, spec: { type: "LoadBalancer" } });
    const spec = { type: "LoadBalancer", loadBalancerClass: "other.io/lb" };
    const theirs = serviceSchema.parse({ metadata: { name: "another" }, spec });
    const services = new Map([...names.map((key) => [key, of(key)] as const), ["default/another", theirs]]);
    runPass(parts, world({}, { services }));
    const { count, first } = documents(state, me)["/v1/status"](NONE).unserved;
    assert.equal(count, 25, "another load balancer's is none of ours");
    assert.deepEqual(
      first.map(({ service }) => service),
      names.toSorted().slice(0, 10),
    );
  });

  test("a Service that is announced and has a port that no endpoint has is told with it, and with what else is wrong", async () => {
    const spec = {
      type: "LoadBalancer",
      sessionAffinity: "ClientIP",
      ports: [
        { name: "", port: 80 },
        { name: "odd", port: 81, targetPort: "nobodys" },
      ],
    };
    const status = { loadBalancer: { ingress: [{ ip: "192.168.10.0" }] } };
    const web = serviceSchema.parse({ metadata: { name: "web" }, spec, status });
    runPass(parts, world({ web: "192.168.10.0" }, { services: new Map([["default/web", web]]) }));
    const [row] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
    assert.match(row?.problem ?? "", /^ClientIP is not followed.*; no ready endpoint has port 81\/TCP$/);
  });

  test("an address that is asked for but not the one it has is told as such", async () => {
    const conditions = [{ type: "fairlead.io/RequestMet", status: "False", message: "10.9.9.9 is taken" }];
    const ingress = [{ ip: "192.168.10.0" }];
    const service = serviceSchema.parse({
      metadata: { name: "web" },
      spec: { type: "LoadBalancer" },
      status: { loadBalancer: { ingress }, conditions },
    });
    runPass(parts, world({}, { services: new Map([["default/web", service]]) }));
    const [row] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
    assert.equal(row?.addressReason, "10.9.9.9 is taken");
  });

  test("nodes are this one and its peers", () => {
    assert.deepEqual(documents(state, me)["/v1/nodes"](NONE), [
      { name: "me", state: "self", remainingSeconds: 0 },
      { name: "peer", address: "192.168.10.202", state: "alive", remainingSeconds: 59.5, lastAnswerMilliseconds: 80 },
    ]);
  });

  test("pools count the addresses in use", () => {
    const [row] = documents(state, me)["/v1/pools"](NONE);
    assert.deepEqual([row?.name, row?.assignedIPv4, row?.availableIPv4], ["pool", "1", "255"]);
  });

  test("the frontends, backends and announcements are those in the maps", () => {
    const [own, port] = documents(state, me)["/v1/bpf/lb"](NONE);
    assert.deepEqual([own?.port, own?.protocol, own?.flags], [0, "any", ["address"]]);
    assert.deepEqual([port?.service, port?.port, port?.slots, port?.maglevSize], ["default/web", 80, 2, 211]);
    assert.deepEqual(
      port?.backends.map(({ address: ip, local, state: is }) => [ip, local, is]),
      [
        ["10.244.0.2", true, "active"],
        ["10.244.1.2", false, "active"],
      ],
    );
    assert.equal([...documents(state, me)["/v1/bpf/backends"](NONE)].length, 2);
    assert.deepEqual(documents(state, me)["/v1/bpf/announced"](NONE), [
      { address: "192.168.10.0", device: "eth0", requests: 0, answers: 0 },
    ]);
  });

  test("a flow tells both sides, its device and how long it is silent", () => {
    putFlow();
    const [row] = documents(state, me)["/v1/bpf/ct"](NONE);
    assert.equal(row?.toDestination, "10.244.1.2");
    assert.deepEqual([row?.service, row?.device, row?.ageSeconds, row?.flags], ["default/web", "eth0", 3, ["snat"]]);
  });

  for (const [limit, rows] of [
    ["0", 1],
    ["1", 1],
    ["x", 1],
  ] as const) {
    test(`a limit of ${limit} lists ${rows} of one flow`, () => {
      putFlow();
      assert.equal([...documents(state, me)["/v1/bpf/ct"](new Map([["limit", limit]]))].length, rows);
    });
  }
});

test("problems are told once, with the Service they are about", async () => {
  const problem = { subject: "Service default/web", message: "no room" };
  state.attachProblems = [problem];
  state.announceProblems = [{ ...problem }];
  assert.deepEqual(documents(state, me)["/v1/status"](NONE).problems.map(formatProblem), [
    "Service default/web: no room",
  ]);
  const [row] = await Array.fromAsync(documents(state, me)["/v1/services"](NONE));
  assert.equal(row?.problem, "no room");
  assert.equal(metricsSource(state).problems().length, 1);
});

test("an address that this node should announce and cannot is not in the metric of what it announces", () => {
  const placed = placeAnnouncements(
    [{ address: address("192.168.10.0"), services: ["default/web"], interfaces: "all" }],
    state.attachments.devices,
  );
  state.placed = placed;
  assert.deepEqual(metricsSource(state).announced(), [
    { service: "default/web", protocol: "layer2", ip: "192.168.10.0" },
  ]);
  assert.equal(metricsSource(state).unserved(), 0);
  state.placed = placed.map((each) => ({ ...each, devices: [] }));
  assert.deepEqual(metricsSource(state).announced(), []);
  assert.equal(metricsSource(state).unserved(), 1);
});

test("addressOfGratuitous reads the address out of the frames we send", () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  for (const frame of gratuitousArp(address("192.168.10.0"), mac))
    assert.equal(addressOfGratuitous(frame), "192.168.10.0");
  assert.equal(
    addressOfGratuitous(unsolicitedAdvertisement(address("fc00:f853:ccd:e799::1"), mac)),
    "fc00:f853:ccd:e799::1",
  );
});

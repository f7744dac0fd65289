import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, describe, test } from "node:test";
import { l2AdvertisementSchema } from "../announce/objects.ts";
import { announced, announced_key, device, endpoint, runtime } from "../datapath/abi.generated.ts";
import { decodeFrontend } from "../datapath/encode.ts";
import { filterBits, filterHash } from "../datapath/filter.ts";
import { memoryPorts, memoryTable } from "../datapath/memory-ports.fixture.ts";
import { decodeAnnounced } from "../datapath/records.ts";
import { address, formatAddress } from "../net/address.ts";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import type { MembershipView } from "../protocol/swim/view.ts";
import { endpointSliceSchema, nodeSchema, serviceSchema } from "../service/objects.ts";
import type { Snapshot } from "../source/source.ts";
import { EXCLUDED_INTERFACES } from "./config.ts";
import { emptyMemo, type World } from "./desired.ts";
import type { NodeLink } from "./devices.ts";
import type { DatapathMaps } from "./maps.ts";
import { readBack, runPass, withdrawAnnouncements, type PassParts } from "./pass.ts";
import { allProblems, initialState } from "./state.ts";

const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
const eth0: NodeLink = {
  name: "eth0",
  ifindex: 2,
  mac: "02:00:00:00:00:01",
  up: true,
  noarp: false,
  addresses: ["192.168.10.201/24"],
};
const podLink: NodeLink = {
  name: "fl-pod",
  ifindex: 7,
  mac: "02:00:00:00:00:07",
  up: true,
  noarp: false,
  addresses: [],
};
const pod = {
  pod: "default/web-1",
  addresses: [address("10.244.0.2")],
  device: "fl-pod",
  mac: Uint8Array.of(2, 0, 0, 0, 0, 8),
};

function service(
  name: string,
  ip: string,
): readonly [string, Snapshot["services"] extends ReadonlyMap<string, infer S> ? S : never] {
  const object = {
    metadata: { name },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: [{ ip }] } },
  };
  return [`default/${name}`, serviceSchema.parse(object)];
}

function slice(
  name: string,
  backends: Readonly<Record<string, string>>,
): readonly [string, ReturnType<typeof endpointSliceSchema.parse>] {
  const endpoints = Object.entries(backends).map(([ip, nodeName]) => ({ addresses: [ip], nodeName }));
  const metadata = { name, labels: { "kubernetes.io/service-name": name } };
  return [
    `default/${name}`,
    endpointSliceSchema.parse({ metadata, addressType: "IPv4", ports: [{ port: 8080 }], endpoints }),
  ];
}

function snapshot(services: Readonly<Record<string, string>>, changed: Partial<Snapshot> = {}): Snapshot {
  const pool = ipAddressPoolSchema.parse({
    metadata: { name: "pool", namespace: "metallb-system" },
    spec: { addresses: ["192.168.10.0/24"] },
  });
  const advertisement = l2AdvertisementSchema.parse({
    metadata: { name: "all", namespace: "metallb-system" },
    spec: {},
  });
  return {
    services: new Map(Object.entries(services).map(([name, ip]) => service(name, ip))),
    endpointSlices: new Map(
      Object.keys(services).map((name) => slice(name, { "10.244.0.2": "me", "10.244.1.2": "peer" })),
    ),
    nodes: new Map(["me", "peer"].map((name) => [name, nodeSchema.parse({ metadata: { name } })])),
    namespaces: new Map(),
    secrets: new Map(),
    ipAddressPools: new Map([["metallb-system/pool", pool]]),
    l2Advertisements: new Map([["metallb-system/all", advertisement]]),
    reserved: new Map(),
    problems: [],
    complete: true,
    ...changed,
  };
}

function world(
  services: Readonly<Record<string, string>>,
  changed: Partial<Snapshot> = {},
  alive = ["me"],
  gone: readonly string[] = [],
): World {
  const members = { alive: new Set(alive), gone: new Set(gone) };
  return { snapshot: snapshot(services, changed), links: [eth0, podLink], endpoints: [pod], members };
}

function memoryMaps(): DatapathMaps {
  const nothing = memoryTable(40, 96, 8);
  return {
    forwarding: memoryPorts({ frontends: 64, backends: 64, slots: 256, maglev: 8192 }),
    announced: memoryTable(announced_key.size, announced.size, 64),
    devices: memoryTable(4, device.size, 16),
    endpoints: memoryTable(16, endpoint.size, 64),
    flows: nothing,
    allFlows: () => nothing.entries(),
    runtime: new DataView(new ArrayBuffer(runtime.size)),
    verdicts: () => ({}),
    drops: () => [],
  };
}

let maps: DatapathMaps;
let parts: PassParts;
let view: MembershipView;
let places: readonly string[];
let refusal: string | undefined;

function start(): void {
  const state = initialState({ node: "me", version: "0", maps });
  state.membership = () => view;
  parts = {
    state,
    me: { nodeName: "me", sha256, devices: { exclude: new RegExp(EXCLUDED_INTERFACES), only: undefined } },
    memo: emptyMemo(),
    attacher: {
      apply: () => ({
        devices: [],
        problems: refusal === undefined ? [] : [{ subject: "Device eth0", message: refusal }],
      }),
    },
    announce: (list) => {
      places = list.map(({ address: a, ifindex }) => `${formatAddress(a)} ${ifindex}`);
    },
  };
}

beforeEach(() => {
  maps = memoryMaps();
  view = { alive: new Set(["me"]), gone: new Set(), complete: true, isolated: false, reunions: 0, peers: [] };
  places = [];
  refusal = undefined;
  start();
});

function announcedNow(): string[] {
  const rows = Array.from(maps.announced.entries(), ([key, value]) => decodeAnnounced({ key, value }));
  return rows.map(({ address: a, ifindex }) => `${formatAddress(a)} ${ifindex}`).toSorted();
}

function frontendsNow(): string[] {
  const rows = Array.from(maps.forwarding.frontends.entries(), ([key, value]) => decodeFrontend(key, value));
  return rows
    .flatMap((row) =>
      row === undefined || row.port === 0 ? [] : `${formatAddress(row.address)}:${row.port} ${row.value.slotCount}`,
    )
    .toSorted();
}

describe("a pass", () => {
  test("programs devices, pods, filters, frontends and announcements, and tells the segment", () => {
    assert.equal(runPass(parts, world({ web: "192.168.10.0" })).settled, true);
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
    assert.deepEqual(announcedNow(), ["192.168.10.0 2"]);
    assert.deepEqual(places, ["192.168.10.0 2"]);
    assert.equal([...maps.devices.entries()].length, 1);
    assert.equal([...maps.endpoints.entries()].length, 1);
    assert.deepEqual(filterBits(maps.forwarding.filter, "node"), [filterHash(address("192.168.10.201"))]);
    assert.deepEqual(allProblems(parts.state), []);
  });

  test("again for the same world writes nothing", () => {
    const same = world({ web: "192.168.10.0" });
    runPass(parts, same);
    assert.equal(runPass(parts, same).written, 0);
  });

  test("after a restart for the same world writes nothing", () => {
    runPass(parts, world({ web: "192.168.10.0", api: "192.168.10.1" }));
    start();
    assert.equal(runPass(parts, world({ web: "192.168.10.0", api: "192.168.10.1" })).written, 0);
  });

  test("does not announce what another node won", () => {
    runPass(parts, world({ web: "192.168.10.0" }, {}, ["peer"]));
    assert.deepEqual(announcedNow(), []);
    assert.equal(parts.state.announcing.elections.get("default/web")?.announcer, "peer");
  });

  test("takes the backends of a node that is gone out", () => {
    runPass(parts, world({ web: "192.168.10.0" }, {}, ["me"], ["peer"]));
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 1"]);
  });

  test("announces nothing before every peer was heard or missed, but serves at once where nothing is there yet", () => {
    view = { ...view, complete: false };
    assert.equal(runPass(parts, world({ web: "192.168.10.0" })).settled, false);
    assert.deepEqual(announcedNow(), []);
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
  });

  test("leaves an earlier agent's tables and announcements alone until every peer was heard or missed", () => {
    runPass(parts, world({ web: "192.168.10.0" }, {}, ["me"], ["peer"]));
    start();
    view = { ...view, complete: false };
    runPass(parts, world({ web: "192.168.10.0" }, {}, []));
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 1"]);
    assert.deepEqual(announcedNow(), ["192.168.10.0 2"]);
    view = { ...view, complete: true };
    runPass(parts, world({ web: "192.168.10.0" }, {}, ["me"]));
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
  });

  test("takes nothing away for an object that cannot be read just now", () => {
    runPass(parts, world({ web: "192.168.10.0", api: "192.168.10.1" }));
    start();
    runPass(parts, world({ web: "192.168.10.0" }, { complete: false }));
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2", "192.168.10.1:80 2"]);
    assert.deepEqual(announcedNow(), ["192.168.10.0 2", "192.168.10.1 2"]);
    runPass(parts, world({ web: "192.168.10.0" }));
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
    assert.deepEqual(announcedNow(), ["192.168.10.0 2"]);
  });

  test("although some object cannot be read, gives up what the others no longer want", () => {
    runPass(parts, world({ web: "192.168.10.0" }));
    const noAddress = serviceSchema.parse({
      metadata: { name: "web" },
      spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    });
    runPass(
      parts,
      world({ web: "192.168.10.0" }, { complete: false, services: new Map([["default/web", noAddress]]) }),
    );
    assert.deepEqual(frontendsNow(), []);
    runPass(parts, world({ web: "192.168.10.0" }, { complete: false }, ["peer"]));
    assert.deepEqual(announcedNow(), []);
  });

  test("withdraws from a device that disappeared and announces on the one that came", () => {
    runPass(parts, world({ web: "192.168.10.0" }));
    runPass(parts, { ...world({ web: "192.168.10.0" }), links: [{ ...eth0, ifindex: 9 }, podLink] });
    assert.deepEqual(announcedNow(), ["192.168.10.0 9"]);
    assert.deepEqual(places, ["192.168.10.0 9"]);
    assert.equal([...maps.devices.entries()].length, 1);
  });

  test("names a Service whose interfaces this node does not have", () => {
    const advertisement = l2AdvertisementSchema.parse({
      metadata: { name: "a", namespace: "metallb-system" },
      spec: { interfaces: ["eth5"] },
    });
    runPass(
      parts,
      world({ web: "192.168.10.0" }, { l2Advertisements: new Map([["metallb-system/a", advertisement]]) }),
    );
    assert.deepEqual(announcedNow(), []);
    assert.deepEqual(allProblems(parts.state), [
      {
        subject: "Service default/web",
        message: "this node should announce it on eth5, but carries the datapath on eth0",
      },
    ]);
  });

  test("a device that refuses its program is a problem and stops nothing else", () => {
    refusal = "Device or resource busy (EBUSY)";
    runPass(parts, world({ web: "192.168.10.0" }));
    assert.deepEqual(allProblems(parts.state), [{ subject: "Device eth0", message: refusal }]);
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
  });

  test("after the kernel refused, reads back what is there and repairs it", () => {
    runPass(parts, world({ web: "192.168.10.0" }));
    for (const [key] of maps.forwarding.frontends.entries()) maps.forwarding.frontends.remove(key, 1);
    readBack(parts.state);
    runPass(parts, world({ web: "192.168.10.0" }));
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
  });
});

test("withdrawAnnouncements leaves nothing to answer for, and the frontends as they are", () => {
  runPass(parts, world({ web: "192.168.10.0" }));
  withdrawAnnouncements(parts);
  assert.deepEqual(announcedNow(), []);
  assert.deepEqual(places, []);
  assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
});

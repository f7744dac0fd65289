/**
 * What a change costs an agent, counted in objects that it looks at: those that the change is about, however many others there are. (How much
 * time that is, `npm run bench -- large-agent` says.)
 */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { bgpAdvertisementSchema, bgpPeerSchema } from "../announce/bgp/objects.ts";
import { desiredBgp, emptyBgpMemo } from "../announce/bgp/desired.ts";
import { l2AdvertisementSchema } from "../announce/objects.ts";
import { announced, announced_key } from "../datapath/abi.generated.ts";
import { memoryPorts, memoryTable } from "../datapath/memory-ports.fixture.ts";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import { persistentMap } from "../reconcile/persistent-map.ts";
import {
  endpointSliceSchema,
  namespaceSchema,
  nodeSchema,
  serviceSchema,
  type EndpointSlice,
  type Service,
} from "../service/objects.ts";
import { EMPTY_SNAPSHOT } from "../source/snapshot.fixture.ts";
import type { Snapshot } from "../source/source.ts";
import { EXCLUDED_INTERFACES } from "./config.ts";
import { ConfigurationJudge } from "./configuration.ts";
import { emptyMemo } from "./desired.ts";
import { runPass, type PassParts } from "./pass.ts";
import { initialState } from "./state.ts";
import { Unforwarded } from "./unforwarded.ts";
import { eth0, memoryMaps, sha256 } from "./world.fixture.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

const SERVICES = 600;
const NODES = ["me", "peer", "third"];
const SYSTEM = { namespace: "metallb-system", name: "x" };

/** Keys of the objects that were looked into. */
let looked: Set<string>;

function watched<T extends object>(key: string, object: T): T {
  return new Proxy(object, {
    get: (target, field) => {
      looked.add(key);
      return Reflect.get(target, field) as unknown;
    },
  });
}

function service(number: number, extra: object = {}): Service {
  const ip = `10.0.${number >> 8}.${number & 255}`;
  const object = serviceSchema.parse({
    metadata: { namespace: "default", name: `s${number}`, ...extra },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: [{ ip }] } },
  });
  return watched(`s${number}`, object);
}

function slice(number: number, ready = true): EndpointSlice {
  const addresses = [`10.1.${number >> 8}.${number & 255}`];
  const object = endpointSliceSchema.parse({
    metadata: { namespace: "default", name: `s${number}`, labels: { "kubernetes.io/service-name": `s${number}` } },
    addressType: "IPv4",
    ports: [{ port: 8080 }],
    endpoints: [
      { addresses, nodeName: "peer", conditions: { ready } },
      { addresses: ["10.2.0.1"], nodeName: "third", conditions: {} },
    ],
  });
  return watched(`slice of s${number}`, object);
}

const node = (name: string, status = "True"): ReturnType<typeof nodeSchema.parse> =>
  nodeSchema.parse({ metadata: { name }, status: { conditions: [{ type: "Ready", status }] } });
const namespace = (labels: Readonly<Record<string, string>>): ReturnType<typeof namespaceSchema.parse> =>
  namespaceSchema.parse({ metadata: { name: "default", labels } });
const numbers = Array.from({ length: SERVICES }, (_, number) => number);
const key = (number: number): string => `default/s${number}`;

function cluster(): Snapshot {
  const bgp = { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.254" };
  const selecting = { namespaceSelectors: [{ matchLabels: { team: "a" } }] };
  const pool = { addresses: ["10.0.0.0/16"], serviceAllocation: selecting };
  return {
    ...EMPTY_SNAPSHOT,
    services: persistentMap(numbers.map((number) => [key(number), service(number)])),
    endpointSlices: persistentMap(numbers.map((number) => [key(number), slice(number)])),
    nodes: persistentMap(NODES.map((name) => [name, node(name)])),
    namespaces: new Map([["default", namespace({ team: "a" })]]),
    ipAddressPools: new Map([["metallb-system/x", ipAddressPoolSchema.parse({ metadata: SYSTEM, spec: pool })]]),
    l2Advertisements: new Map([["metallb-system/x", l2AdvertisementSchema.parse({ metadata: SYSTEM, spec: {} })]]),
    bgpAdvertisements: new Map([["metallb-system/x", bgpAdvertisementSchema.parse({ metadata: SYSTEM, spec: {} })]]),
    bgpPeers: new Map([["metallb-system/x", bgpPeerSchema.parse({ metadata: SYSTEM, spec: bgp })]]),
  };
}

/** With another object there; undefined: with none. */
function edited(before: Snapshot, collection: "services" | "endpointSlices" | "nodes", at: string, value: unknown) {
  const draft = persistentMap<unknown>(before[collection]).draft();
  if (value === undefined) draft.delete(at);
  else draft.set(at, value);
  return { ...before, [collection]: draft.finish() };
}

/** All that follows a change, but for what the kernel and others are told. */
function agent(): (snapshot: Snapshot) => void {
  const forwarding = memoryPorts({ frontends: 2048, backends: 2048, slots: 8192, maglev: 1 << 20 });
  const table = memoryTable(announced_key.size, announced.size, 2048);
  const state = initialState({ node: "me", version: "0", maps: { ...memoryMaps(), forwarding, announced: table } });
  const members = seeing(NODES);
  state.membership = () => members;
  const devices = { exclude: new RegExp(EXCLUDED_INTERFACES), only: undefined };
  const parts: PassParts = {
    state,
    me: { nodeName: "me", sha256, devices, ignoreExcludeLabel: false, handover: false },
    memo: emptyMemo(),
    attacher: { apply: () => ({ devices: [], problems: [] }) },
    announce: () => {},
  };
  const [bgpMemo, judge, unforwarded] = [emptyBgpMemo(), new ConfigurationJudge(), new Unforwarded()];
  return (snapshot) => {
    runPass(parts, { snapshot, links: [eth0], endpoints: [], members });
    const held = unforwarded.of(snapshot.services, state.tables);
    assert.deepEqual([...held], []);
    const bgp = desiredBgp(snapshot, { name: "me", unforwarded: held }, bgpMemo);
    assert.equal(bgp.sessions[0]?.routes.size, [...snapshot.services].length);
    judge.judge(snapshot, bgp.problems);
  };
}

const CHANGES: readonly {
  readonly what: string;
  readonly change: (before: Snapshot) => Snapshot;
  readonly looksAt: readonly string[];
}[] = [
  { what: "nothing", change: (before) => ({ ...before }), looksAt: [] },
  {
    what: "one endpoint",
    change: (before) => edited(before, "endpointSlices", key(7), slice(7, false)),
    looksAt: ["s7", "slice of s7"],
  },
  {
    what: "one Service",
    change: (before) => edited(before, "services", key(7), service(7, { annotations: { note: "x" } })),
    looksAt: ["s7", "slice of s7"],
  },
  {
    what: "a Service that comes",
    change: (before) =>
      edited(
        edited(before, "services", key(SERVICES), service(SERVICES)),
        "endpointSlices",
        key(SERVICES),
        slice(SERVICES),
      ),
    looksAt: [`s${SERVICES}`, `slice of s${SERVICES}`],
  },
  { what: "a Service that goes", change: (before) => edited(before, "services", key(7), undefined), looksAt: [] },
  {
    what: "a node's status",
    change: (before) => edited(before, "nodes", "peer", node("peer", "Unknown")),
    looksAt: [],
  },
  {
    what: "a namespace's label",
    change: (before) => ({ ...before, namespaces: new Map([["default", namespace({ team: "b" })]]) }),
    looksAt: [],
  },
];

describe(`of ${SERVICES} Services an agent looks at those that are concerned, after a change of`, () => {
  beforeEach(() => (looked = new Set()));

  for (const { what, change, looksAt } of CHANGES) {
    test(what, () => {
      const pass = agent();
      const before = cluster();
      pass(before);
      for (const number of numbers) assert.ok(looked.has(`s${number}`), "at first it looks at all of them");
      const after = change(before);
      looked.clear();
      pass(after);
      assert.deepEqual([...looked].toSorted(), [...looksAt].toSorted());
    });
  }
});

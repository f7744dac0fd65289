/** What is derived from differences is what would be derived from nothing, whatever came before. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bgpAdvertisementSchema, bgpPeerSchema } from "../announce/bgp/objects.ts";
import { desiredBgp, emptyBgpMemo } from "../announce/bgp/desired.ts";
import { electAnnouncers, type Announcer, type Election } from "../announce/election.ts";
import { l2AdvertisementSchema } from "../announce/objects.ts";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import { persistentMap } from "../reconcile/persistent-map.ts";
import {
  endpointSliceSchema,
  nodeSchema,
  serviceSchema,
  type EndpointSlice,
  type Service,
} from "../service/objects.ts";
import { EMPTY_SNAPSHOT } from "../source/snapshot.fixture.ts";
import type { Snapshot } from "../source/source.ts";
import { atOnce } from "../time/slices.ts";
import { desiredAnnouncing, desiredForwarding, emptyMemo, type Me, type World } from "./desired.ts";

const SYSTEM = { namespace: "metallb-system", name: "x" };
const NAMES = ["a", "b", "c", "d", "e"];
const NODES = ["node-1", "node-2", "node-3"];

const ME: Me = {
  nodeName: "node-1",
  sha256: (text) => createHash("sha256").update(text).digest(),
  devices: { exclude: /^$/, only: undefined },
  ignoreExcludeLabel: false,
  handover: false,
};

function serviceOf(name: string, number: number, local: boolean, type: string): Service {
  const externalTrafficPolicy = local ? "Local" : "Cluster";
  return serviceSchema.parse({
    metadata: { namespace: "default", name },
    spec: { type, externalTrafficPolicy, ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: [{ ip: `192.0.2.${number}` }] } },
  });
}

function sliceOf(name: string, of: string, node: string, ready: boolean): EndpointSlice {
  return endpointSliceSchema.parse({
    metadata: { namespace: "default", name, labels: { "kubernetes.io/service-name": of } },
    addressType: "IPv4",
    ports: [{ port: 8080 }],
    endpoints: [{ addresses: [`10.0.0.${NAMES.indexOf(name) + 1}`], nodeName: node, conditions: { ready } }],
  });
}

const name = fc.constantFrom(...NAMES);
const nodeName = fc.constantFrom(...NODES);
type Edit = (snapshot: Snapshot) => Snapshot;

function edit(collection: "services" | "endpointSlices" | "nodes", key: string, value: unknown): Edit {
  return (snapshot) => {
    const draft = persistentMap<unknown>(snapshot[collection]).draft();
    if (value === undefined) draft.delete(key);
    else draft.set(key, value);
    return { ...snapshot, [collection]: draft.finish() };
  };
}

const edits: fc.Arbitrary<Edit> = fc.oneof(
  fc
    .tuple(name, fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.constantFrom("LoadBalancer", "ClusterIP"))
    .map(([one, number, local, type]) => edit("services", `default/${one}`, serviceOf(one, number, local, type))),
  name.map((one) => edit("services", `default/${one}`, undefined)),
  fc
    .tuple(name, name, nodeName, fc.boolean())
    .map(([one, of, node, ready]) => edit("endpointSlices", `default/${one}`, sliceOf(one, of, node, ready))),
  name.map((one) => edit("endpointSlices", `default/${one}`, undefined)),
  fc
    .tuple(nodeName, fc.boolean())
    .map(([one, labelled]) =>
      edit("nodes", one, nodeSchema.parse({ metadata: { name: one, labels: labelled ? { zone: "x" } : {} } })),
    ),
  nodeName.map((one) => edit("nodes", one, undefined)),
);

function configuration(): Snapshot {
  const l2 = { nodeSelectors: [{ matchLabels: { zone: "x" } }], ipAddressPools: ["x"] };
  const everywhere = { serviceSelectors: [], interfaces: ["eth0"] };
  return {
    ...EMPTY_SNAPSHOT,
    services: persistentMap<Service>([]),
    endpointSlices: persistentMap<EndpointSlice>([]),
    nodes: persistentMap(NODES.map((one) => [one, nodeSchema.parse({ metadata: { name: one } })])),
    ipAddressPools: new Map([
      ["metallb-system/x", ipAddressPoolSchema.parse({ metadata: SYSTEM, spec: { addresses: ["192.0.2.0/24"] } })],
    ]),
    l2Advertisements: new Map([
      ["metallb-system/x", l2AdvertisementSchema.parse({ metadata: SYSTEM, spec: l2 })],
      ["metallb-system/y", l2AdvertisementSchema.parse({ metadata: { ...SYSTEM, name: "y" }, spec: everywhere })],
    ]),
    bgpAdvertisements: new Map([["metallb-system/x", bgpAdvertisementSchema.parse({ metadata: SYSTEM, spec: {} })]]),
    bgpPeers: new Map([
      [
        "metallb-system/x",
        bgpPeerSchema.parse({ metadata: SYSTEM, spec: { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.254" } }),
      ],
    ]),
  };
}

describe("what an agent wants after each of many changes", () => {
  it("is what it wants that knows nothing of the way there", () => {
    const unforwarded = fc.subarray(NAMES.map((one) => `default/${one}`)).map((list) => new Set(list));
    const step = fc.tuple(fc.array(edits, { maxLength: 4 }), fc.subarray(NODES), unforwarded);
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const memo = emptyMemo();
        const bgpMemo = emptyBgpMemo();
        let snapshot = configuration();
        for (const [changes, goneNames, held] of steps) {
          for (const change of changes) snapshot = change(snapshot);
          const gone = new Set(goneNames);
          const alive = new Set(NODES).difference(gone);
          const world: World = { snapshot, links: [], endpoints: [], members: { alive, away: new Map(), gone } };
          // A pass that was given up halfway leaves nothing behind.
          if (changes.length === 3) desiredForwarding(world, ME, memo).next();
          const me = { name: "node-1", unforwarded: held };
          const [now, anew] = [wanted(world, memo), wanted(world, emptyMemo())];
          assert.deepEqual(now, anew);
          assert.deepEqual(ownElections(world, memo), electionsOfAll(world));
          assert.deepEqual(routes(desiredBgp(snapshot, me, bgpMemo)), routes(desiredBgp(snapshot, me)));
        }
      }),
      { numRuns: 200 },
    );
  });
});

type Said = ReadonlyMap<string, readonly unknown[]>;

function ownElections(world: World, memo: ReturnType<typeof emptyMemo>): Said {
  const { elections } = atOnce(desiredAnnouncing(world, ME, memo));
  return said(elections);
}

/** As nodes that ask for every name would elect. */
function electionsOfAll({ snapshot, members }: World): Said {
  return said(electAnnouncers(snapshot, { alive: members.alive }, ME.sha256));
}

/** What of an election is this node's business. */
function said(elections: ReadonlyMap<string, Election<Announcer>>): Said {
  return new Map(
    [...elections].map(([key, { announcer, reason, addresses, ...rest }]) => {
      const mine = announcer === ME.nodeName;
      return [key, [mine, reason, addresses, mine && "interfaces" in rest ? rest.interfaces : undefined]];
    }),
  );
}

function wanted(world: World, memo: ReturnType<typeof emptyMemo>): unknown {
  const { frontends, problems } = atOnce(desiredForwarding(world, ME, memo));
  const { elections, addresses, announcements } = atOnce(desiredAnnouncing(world, ME, memo));
  const plain = [frontends, elections, addresses].map((map) => new Map<string, unknown>(map));
  return [...plain, problems, announcements];
}

function routes({ sessions, verdicts }: ReturnType<typeof desiredBgp>): unknown {
  const told = sessions.map(({ config, routes: list }) => [
    config.name,
    Array.from(list.values())
      .map((route) => JSON.stringify(route, (_, value: unknown) => (typeof value === "bigint" ? `${value}` : value)))
      .toSorted(),
  ]);
  return [
    told,
    new Map([...verdicts].map(([key, { reason, offers }]) => [key, [reason, offers.map(({ text }) => text)]])),
  ];
}

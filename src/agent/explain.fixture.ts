/** For tests: a cluster of two nodes with one Service, what is wrong in it, and the explanation that its agent gives. */
import { bgpAdvertisementSchema, bgpPeerSchema } from "../announce/bgp/objects.ts";
import { l2AdvertisementSchema } from "../announce/objects.ts";
import { runtime } from "../datapath/abi.generated.ts";
import type { Routing } from "../kernel/routes.ts";
import type { SessionView, Speaker } from "../protocol/bgp/speaker.ts";
import { objectKey, endpointSliceSchema, nodeSchema, serviceSchema } from "../service/objects.ts";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import type { Snapshot } from "../source/source.ts";
import type { TrialFacts } from "../observe/explain/facts.ts";
import type { ExplainDocument } from "../observe/status.ts";
import { virtualClock } from "../time/clock.ts";
import { atOnce } from "../time/slices.ts";
import { bgpOf } from "./bgp.ts";
import { emptyMemo, type Me, type World } from "./desired.ts";
import { explainDocument } from "./explain.ts";
import { runPass } from "./pass.ts";
import { initialState, type AgentState } from "./state.ts";
import { memoryMaps, sha256, world as makeWorld } from "./world.fixture.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

const me: Me = {
  nodeName: "me",
  sha256,
  devices: { exclude: /^docker/, only: undefined },
  ignoreExcludeLabel: false,
  handover: false,
};

/** Announced by `me` when both nodes may: the first by hash. */
export const MINE = "192.168.10.2";
export const THEIRS = "192.168.10.1";

export interface Case {
  readonly service?: object;
  /** Merged into spec. */
  readonly spec?: object;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly ips?: readonly string[];
  readonly conditions?: readonly object[];
  readonly endpoints?: readonly object[];
  readonly slicePort?: string;
  readonly pools?: readonly object[];
  readonly ads?: readonly object[];
  readonly nodes?: readonly object[];
  readonly alive?: readonly string[];
  readonly gone?: readonly string[];
  readonly problems?: Snapshot["problems"];
  readonly links?: World["links"];
  readonly otherServices?: readonly object[];
  readonly ask?: string;
  readonly route?: Routing;
  /** Where connections are not accepted, by address. */
  readonly trials?: Readonly<Record<string, TrialFacts["outcome"]>>;
  readonly complete?: boolean;
  readonly isolated?: boolean;
  /** Advertisements' specs; a session for each peer, in this state. */
  readonly bgp?: {
    readonly ads: readonly object[];
    readonly peers: readonly object[];
    readonly session?: Partial<SessionView>;
  };
  /** After the pass. */
  readonly spoil?: (state: AgentState) => void;
}

function keyed<T extends Parameters<typeof objectKey>[0]>(objects: readonly T[]): Map<string, T> {
  return new Map(objects.map((object) => [objectKey(object), object]));
}

function metadata(name: string, more: object = {}): object {
  return { name, namespace: "metallb-system", ...more };
}

const BOTH = [
  { addresses: ["10.244.0.2"], nodeName: "me" },
  { addresses: ["10.244.1.2"], nodeName: "peer" },
];
export const unready = (nodeName: string): object => ({
  addresses: ["10.244.1.2"],
  nodeName,
  conditions: { ready: false },
});

function snapshotOf(given: Case): Partial<Snapshot> {
  const web = {
    metadata: { name: "web", labels: given.labels ?? {}, annotations: given.annotations ?? {} },
    spec: { type: "LoadBalancer", selector: { app: "web" }, ports: [{ port: 80 }], ...given.spec },
    status: {
      loadBalancer: { ingress: (given.ips ?? [MINE]).map((ip) => ({ ip })) },
      conditions: given.conditions ?? [],
    },
  };
  const slice = {
    metadata: { name: "web", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ ...(given.slicePort === undefined ? {} : { name: given.slicePort }), port: 8080 }],
    endpoints: given.endpoints ?? BOTH,
  };
  const pools = given.pools ?? [{ metadata: metadata("demo"), spec: { addresses: ["192.168.10.0/30"] } }];
  const nodes = given.nodes ?? [{ metadata: { name: "me" } }, { metadata: { name: "peer" } }];
  return {
    services: keyed([given.service ?? web, ...(given.otherServices ?? [])].map((each) => serviceSchema.parse(each))),
    endpointSlices: keyed([endpointSliceSchema.parse(slice)]),
    nodes: keyed(nodes.map((each) => nodeSchema.parse(each))),
    ipAddressPools: keyed(pools.map((each) => ipAddressPoolSchema.parse(each))),
    l2Advertisements: keyed(
      (given.ads ?? [{ metadata: metadata("all"), spec: {} }]).map((each) => l2AdvertisementSchema.parse(each)),
    ),
    bgpAdvertisements: keyed(
      (given.bgp?.ads ?? []).map((spec, index) =>
        bgpAdvertisementSchema.parse({ metadata: metadata(`bgp${index}`), spec }),
      ),
    ),
    bgpPeers: keyed(
      (given.bgp?.peers ?? []).map((spec, index) => {
        const full = { myASN: 64512, peerASN: 64513, peerAddress: `192.0.2.${index + 1}`, ...spec };
        return bgpPeerSchema.parse({ metadata: metadata(`tor${index}`), spec: full });
      }),
    ),
    problems: given.problems ?? [],
  };
}

/** Has the sessions it is told to have. */
function fakeSpeaker(session: Partial<SessionView> = { state: "established" }): Speaker {
  let views: readonly SessionView[] = [];
  return {
    configure: (configs) => {
      views = configs.map(({ name }) => ({ name, peer: name, ...session }) as unknown as SessionView);
    },
    announce: () => undefined,
    addressesChanged: () => undefined,
    complete: () => undefined,
    bfd: () => undefined,
    reset: () => false,
    release: () => undefined,
    view: () => views,
    received: () => [],
    onChange: () => () => undefined,
    observe: () => () => undefined,
    told: () => [],
    drain: () => undefined,
    stop: async () => undefined,
  };
}

export async function explained(given: Case): Promise<ExplainDocument> {
  const state = initialState({ node: "me", version: "0", maps: memoryMaps() });
  const { alive = ["me", "peer"], gone = [], complete = true, isolated = false } = given;
  state.membership = () => seeing(alive, { gone: new Set(gone), complete, isolated });
  state.maps.runtime.setBigUint64(runtime.offset.valid_until_ns, state.nowNs() + 60_000_000_000n, true);
  const world = makeWorld({}, snapshotOf(given), [...alive], gone);
  const parts = {
    state,
    me,
    memo: emptyMemo(),
    attacher: { apply: () => ({ devices: [], problems: [] }) },
    announce: (): void => {},
  };
  runPass(parts, { ...world, links: given.links ?? world.links });
  const options = { nodeName: "me", ignoreExcludeLabel: false, clock: virtualClock(), soon: () => undefined };
  const watch = { apply: (): void => undefined, bfd: undefined, stop: async (): Promise<void> => undefined };
  atOnce(bgpOf(fakeSpeaker(given.bgp?.session), watch, options).applying(state));
  given.spoil?.(state);
  const way = { device: "eth0", via: "192.168.10.202", neighbor: "REACHABLE" };
  const query = new URLSearchParams(given.ask ?? "service=default/web");
  return explainDocument(state, me, new Map(query), {
    ways: async (asked) => asked.map(() => given.route ?? { ok: true, way }),
    connections: async (address) => given.trials?.[address] ?? "accepted",
  });
}

export const ad = (spec: object): object => ({ metadata: metadata("ad"), spec });
export const pool = (name: string, spec: object): object => ({ metadata: metadata(name), spec });
export const failedTo = (message: string): object => ({
  type: "fairlead.io/AddressAssigned",
  status: "False",
  reason: "AllocationFailed",
  message,
});
export const EXCLUDED = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };
export const UNAVAILABLE = { conditions: [{ type: "NetworkUnavailable", status: "True" }] };

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { bgpAdvertisementSchema, bgpPeerSchema } from "../announce/bgp/objects.ts";
import type { DesiredSession } from "../announce/bgp/desired.ts";
import { LEAVING_MILLISECONDS } from "../announce/bgp/leaving.ts";
import { formatAddress } from "../net/address.ts";
import { formatPrefix } from "../net/prefix.ts";
import type { Speaker } from "../protocol/bgp/speaker.ts";
import { nodeSchema } from "../service/objects.ts";
import type { Snapshot } from "../source/source.ts";
import { virtualClock, type VirtualClock } from "../time/clock.ts";
import { atOnce } from "../time/slices.ts";
import type { PeerWatch } from "./bfd.ts";
import { EXCLUDED_INTERFACES } from "./config.ts";
import { bgpOf, identifierOf, type Bgp } from "./bgp.ts";
import { allProblems, initialState, type AgentState } from "./state.ts";
import { eth0, memoryMaps, world } from "./world.fixture.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

const EXCLUDED = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };
const metadata = { name: "router", namespace: "metallb-system" };
const OBJECTS: Partial<Snapshot> = {
  bgpPeers: new Map([
    [
      "metallb-system/router",
      bgpPeerSchema.parse({ metadata, spec: { myASN: 1, peerASN: 2, peerAddress: "10.0.0.1" } }),
    ],
  ]),
  bgpAdvertisements: new Map([["metallb-system/router", bgpAdvertisementSchema.parse({ metadata, spec: {} })]]),
};

let state: AgentState;
let clock: VirtualClock;
/** What the speaker was told, in order. */
let told: string[];
let passes: number;
/** How often the speaker was told that addresses may have changed. */
let moves: number;
let bgp: Bgp;

const speaker: Speaker = {
  configure: (sessions) => told.push(`sessions ${sessions.map(({ name }) => name).join(" ")}`),
  announce: (routes) => {
    const texts = [...routes].map(([name, list]) =>
      [name, ...Array.from(list.values(), ({ prefix }) => formatPrefix(prefix))].join(" "),
    );
    told.push(`routes ${texts.join("; ")}`);
  },
  complete: () => told.push("complete"),
  addressesChanged: () => (moves += 1),
  bfd: () => undefined,
  reset: () => false,
  view: () => [],
  received: () => [],
  onChange: () => () => undefined,
  observe: () => () => undefined,
  told: () => [],
  drain: (draining) => told.push(draining ? "drain" : "no drain"),
  release: () => told.push("release"),
  stop: async (mode) => void told.push(`stop ${mode}`),
};

const watch: PeerWatch = {
  apply: () => undefined,
  bfd: undefined,
  stop: async (mode) => void told.push(`stop watching ${mode}`),
};

beforeEach(() => {
  state = initialState({ node: "me", version: "0", maps: memoryMaps() });
  state.membership = () => seeing(["me"]);
  clock = virtualClock();
  told = [];
  passes = 0;
  moves = 0;
  bgp = bgpOf(speaker, watch, { nodeName: "me", ignoreExcludeLabel: false, clock, soon: () => (passes += 1) });
});

/** A pass over this world; `programmed`: the Services that the tables hold. What the speaker was told by it. */
function pass(
  services: Readonly<Record<string, string>>,
  programmed: readonly string[],
  changed: Partial<Snapshot> = {},
) {
  state.world = world(services, { ...OBJECTS, ...changed });
  state.tables.services.clear();
  for (const key of programmed) state.tables.services.set(key, { id: 1, wanted: [], frontends: [], problems: [] });
  told = [];
  atOnce(bgp.applying(state));
  return told;
}

const excludedMe = { nodes: new Map([["me", nodeSchema.parse({ metadata: { name: "me", labels: EXCLUDED } })]]) };

test("a Service is announced when the tables hold it, not before", () => {
  const web = { web: "192.168.10.1" };
  assert.deepEqual(pass(web, []), ["no drain", "sessions router", "routes router", "complete"]);
  assert.deepEqual(pass(web, ["default/web"]), [
    "no drain",
    "sessions router",
    "routes router 192.168.10.1/32",
    "complete",
  ]);
  assert.equal(state.bgp?.desired.verdicts.get("default/web")?.reason, undefined);
});

test("a Service that found no room in the tables is not announced", () => {
  pass({ web: "192.168.10.1" }, ["default/web"]);
  const problems = [{ subject: "Service default/web", message: "no room" }];
  state.tables.services.set("default/web", { id: 1, wanted: [], frontends: [], problems });
  told = [];
  atOnce(bgp.applying(state));
  assert.ok(told.includes("routes router"), told.join());
});

test("nothing new: nothing is told", () => {
  pass({ web: "192.168.10.1" }, ["default/web"]);
  told = [];
  atOnce(bgp.applying(state));
  assert.deepEqual(told, ["no drain", "complete"]);
});

test("next hops are looked at again when this node's links or addresses changed, and only then", () => {
  pass({ web: "192.168.10.1" }, ["default/web"]);
  const before = moves;
  atOnce(bgp.applying(state));
  assert.equal(moves, before);
  if (state.world !== undefined) state.world = { ...state.world, links: [...state.world.links] };
  atOnce(bgp.applying(state));
  assert.equal(moves, before + 1);
});

test("objects that cannot be read: peers keep what an earlier run announced", () => {
  assert.ok(!pass({}, [], { complete: false }).includes("complete"));
  assert.ok(pass({}, []).includes("complete"));
});

test("an excluded node drains, asks for a pass when the pause is over, and announces nothing then", () => {
  const web = { web: "192.168.10.1" };
  pass(web, ["default/web"]);
  assert.deepEqual(pass(web, ["default/web"], excludedMe).slice(0, 3), [
    "drain",
    "sessions router",
    "routes router 192.168.10.1/32",
  ]);
  clock.advance(LEAVING_MILLISECONDS - 1);
  assert.equal(passes, 0);
  clock.advance(1);
  assert.equal(passes, 1);
  assert.deepEqual(pass(web, ["default/web"], excludedMe).slice(0, 3), [
    "no drain",
    "sessions router",
    "routes router",
  ]);
  assert.equal(state.bgp?.desired.verdicts.get("default/web")?.reason, "nodeLabeledExcludeBalancers");
});

test("a drained node drains, announces nothing when the pause is over, and comes back at once", () => {
  const web = { web: "192.168.10.1" };
  const held = "routes router 192.168.10.1/32";
  pass(web, ["default/web"]);
  state.drainedSince = new Date();
  assert.deepEqual(pass(web, ["default/web"]).slice(0, 3), ["drain", "sessions router", held]);
  clock.advance(LEAVING_MILLISECONDS);
  assert.equal(passes, 1);
  assert.deepEqual(pass(web, ["default/web"]).slice(0, 3), ["no drain", "sessions router", "routes router"]);
  assert.equal(state.bgp?.desired.verdicts.get("default/web")?.reason, "nodeDraining");
  state.drainedSince = undefined;
  assert.deepEqual(pass(web, ["default/web"]).slice(0, 3), ["no drain", "sessions router", held]);
});

test("an agent that starts drained announces nothing from the start", () => {
  state.drainedSince = new Date();
  assert.ok(pass({ web: "192.168.10.1" }, ["default/web"]).includes("routes router"));
});

test("a node that is stopped for good leaves, any other end is a restart", async () => {
  for (const mode of ["leave", "restart", "failed"] as const) await bgp.stop(mode);
  assert.deepEqual(told, [
    ...["stop leave", "stop watching leave"],
    ...["stop watching restart", "stop restart"],
    ...["stop watching failed", "stop restart"],
  ]);
});

test("the identifier is the node's first IPv4 address, or made from its name as MetalLB does", () => {
  const text = (links: Parameters<typeof identifierOf>[0], name: string): string =>
    formatAddress({ family: "IPv4", value: BigInt(identifierOf(links, new RegExp(EXCLUDED_INTERFACES), name)) });
  const lo = { ...eth0, name: "lo", addresses: ["127.0.0.1/8", "::1/128"] };
  assert.equal(text([lo, eth0], "node1"), "192.168.10.201");
  assert.equal(text([lo, { ...eth0, addresses: ["fd00::1/64"] }], "node1"), "64.37.239.133");
  // A container bridge has the same address on every node, and two nodes must not have one identifier.
  assert.equal(text([{ ...eth0, name: "docker0", addresses: ["172.17.0.1/16"] }, eth0], "node1"), "192.168.10.201");
});

test("in a handover, what it is not our turn with is told nothing, and whoever asks is told why", () => {
  let mine: readonly string[] = [];
  const waiting = [{ subject: "BGPPeer router", message: "another program has it" }];
  const turns = {
    admit: (list: readonly DesiredSession[]) => list.filter(({ config }) => mine.includes(config.name)),
    awaitingBfd: () => (mine.length === 0 ? (state.bgp?.desired.sessions ?? []) : []),
    problems: () => (mine.length === 0 ? waiting : []),
    stop: () => void told.push("no more turns"),
  };
  const soon = (): number => (passes += 1);
  const watched: string[][] = [];
  const seen: PeerWatch = { ...watch, apply: (list) => void watched.push(list.map(({ config }) => config.name)) };
  bgp = bgpOf(speaker, seen, { nodeName: "me", ignoreExcludeLabel: false, clock, soon, turns });
  const web = { web: "192.168.10.1" };
  assert.deepEqual(pass(web, ["default/web"]), ["no drain", "sessions ", "routes ", "complete"]);
  assert.deepEqual(
    allProblems(state).filter(({ subject }) => subject.startsWith("BGPPeer")),
    waiting,
  );
  mine = ["router"];
  told = [];
  atOnce(bgp.applying(state));
  assert.deepEqual(told, ["no drain", "sessions router", "routes router 192.168.10.1/32", "complete"]);
  atOnce(bgp.applying(state));
  assert.ok(watched.length > 1);
  for (const each of watched) assert.deepEqual(each, ["router"], "watched from the first, and once");
  assert.deepEqual(
    allProblems(state).filter(({ subject }) => subject.startsWith("BGPPeer")),
    [],
  );
});

test("in a handover, sessions that are not ours any more are let go of, once, before they are configured away", () => {
  pass({ web: "192.168.10.1" }, ["default/web"]);
  told = [];
  atOnce(bgp.applying(state, false));
  assert.deepEqual(told, ["release", "no drain", "sessions ", "routes ", "complete"]);
  told = [];
  atOnce(bgp.applying(state, false));
  assert.ok(!told.includes("release"), told.join());
});

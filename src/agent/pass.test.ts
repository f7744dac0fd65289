import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { ANOTHER } from "../announce/contest.ts";
import { l2AdvertisementSchema } from "../announce/objects.ts";
import { runtime, traffic } from "../datapath/abi.generated.ts";
import { decodeFrontend } from "../datapath/encode.ts";
import { filterBits, filterHash } from "../datapath/filter.ts";
import { decodeAnnounced } from "../datapath/records.ts";
import { address, formatAddress } from "../net/address.ts";
import type { MembershipView } from "../protocol/swim/view.ts";
import { serviceSchema } from "../service/objects.ts";
import { EXCLUDED_INTERFACES } from "./config.ts";
import { emptyMemo } from "./desired.ts";
import type { DatapathMaps } from "./maps.ts";
import { formatProblem } from "../net/problem.ts";
import { HANDOVER_LABEL, hasSessions } from "./handover.ts";
import { atOnce } from "../time/slices.ts";
import { passing, readBack, runPass, withdrawAnnouncements, type PassParts } from "./pass.ts";
import { allProblems, initialState } from "./state.ts";
import { eth0, memoryMaps, podLink, sha256, world } from "./world.fixture.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

let maps: DatapathMaps;
let parts: PassParts;
let view: MembershipView;
let places: readonly string[];
let refusal: string | undefined;
/** As they are read: the very same while nothing about them changes. */
const SAME = { links: [eth0], endpoints: [] };

function start(): void {
  const state = initialState({ node: "me", version: "0", maps });
  state.membership = () => view;
  parts = {
    state,
    me: {
      nodeName: "me",
      sha256,
      devices: { exclude: new RegExp(EXCLUDED_INTERFACES), only: undefined },
      ignoreExcludeLabel: false,
      handover: false,
    },
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
  view = seeing(["me"]);
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
  test("announces nothing when the stamp ran out in one of its pauses, and is to be repeated", () => {
    const pass = passing(parts, world({ web: "192.168.10.0" }));
    assert.equal(pass.next().done, false);
    withdrawAnnouncements(parts);
    assert.equal(atOnce(pass).settled, false);
    assert.deepEqual(announcedNow(), []);
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
    runPass(parts, world({ web: "192.168.10.0" }));
    assert.deepEqual(announcedNow(), ["192.168.10.0 2"]);
  });

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

  test("between two comparisons with the kernel reads no rows of what it announces, and announces what it should", () => {
    const { announced } = maps;
    let reads = 0;
    maps = { ...maps, announced: { ...announced, entries: () => ((reads += 1), announced.entries()) } };
    start();
    const addresses = { web: "192.168.10.0", api: "192.168.10.1", db: "192.168.10.2", mail: "192.168.10.3" };
    const narrow = l2AdvertisementSchema.parse({
      metadata: { name: "all", namespace: "metallb-system" },
      spec: { interfaces: ["eth9"] },
    });
    const steps = [["web", "api"], ["api"], [], ["db", "mail", "web"], ["mail", "api"]] as const;
    for (const here of [true, false, true])
      for (const names of steps) {
        const services = Object.fromEntries(names.map((name) => [name, addresses[name]]));
        const l2Advertisements = here ? {} : { l2Advertisements: new Map([["metallb-system/all", narrow]]) };
        runPass(parts, { ...world(services, l2Advertisements), ...SAME });
        const expected = here ? names.map((name) => `${addresses[name]} 2`).toSorted() : [];
        const rows = Array.from(announced.entries(), ([key, value]) => decodeAnnounced({ key, value }));
        assert.deepEqual(rows.map(({ address: a, ifindex }) => `${formatAddress(a)} ${ifindex}`).toSorted(), expected);
        assert.deepEqual([...places].toSorted(), expected);
      }
    assert.equal(reads, 1);
  });

  test("in a handover stands by until the node is labelled: tables are there, nothing is announced, and back again", () => {
    parts = { ...parts, me: { ...parts.me, handover: true } };
    const labelled = world({ web: "192.168.10.0" });
    const { snapshot } = labelled;
    const [key, node] = [...snapshot.nodes].find(([name]) => name === "me") ?? assert.fail("no node me");
    const handedOver = { ...node, metadata: { ...node.metadata, labels: { [HANDOVER_LABEL]: "active" } } };
    const nodes = new Map([...snapshot.nodes, [key, handedOver] as const]);
    const trafficNow = (): number => maps.runtime.getUint16(runtime.offset.traffic, true);
    for (let round = 0; round < 2; round += 1) {
      runPass(parts, world({ web: "192.168.10.0" }));
      assert.deepEqual([announcedNow(), places, trafficNow()], [[], [], traffic.TRAFFIC_STANDING_BY]);
      assert.deepEqual(frontendsNow(), ["192.168.10.0:80 2"]);
      assert.match(
        allProblems(parts.state).map(formatProblem).join(),
        /^Node me: stands by .*kubectl label --overwrite node me/,
      );
      runPass(parts, { ...labelled, snapshot: { ...snapshot, nodes } });
      assert.deepEqual([announcedNow(), trafficNow()], [["192.168.10.0 2"], traffic.TRAFFIC_TAKING_OVER]);
      assert.deepEqual(allProblems(parts.state), []);
    }
  });

  test("in a handover, a node whose BGP alone is handed over leaves packets to others, and says so", () => {
    parts = { ...parts, me: { ...parts.me, handover: true } };
    const labelled = world({ web: "192.168.10.0" });
    const { snapshot } = labelled;
    const node = snapshot.nodes.get("me") ?? assert.fail("no node me");
    const nodes = new Map(snapshot.nodes);
    nodes.set("me", { ...node, metadata: { ...node.metadata, labels: { [HANDOVER_LABEL]: "bgp" } } });
    assert.deepEqual([hasSessions(snapshot, parts.me), hasSessions({ nodes }, parts.me)], [false, true]);
    runPass(parts, { ...labelled, snapshot: { ...snapshot, nodes } });
    assert.equal(maps.runtime.getUint16(runtime.offset.traffic, true), traffic.TRAFFIC_STANDING_BY);
    assert.match(allProblems(parts.state).map(formatProblem).join(), /stands by .*it answers for no address/);
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
    // Which of the others did, nobody needs to know here.
    assert.equal(parts.state.announcing.elections.get("default/web")?.announcer, ANOTHER);
  });

  test("takes the backends of a node that is gone out", () => {
    runPass(parts, world({ web: "192.168.10.0" }, {}, ["me"], ["peer"]));
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 1"]);
  });

  test("forwards to what changes while it elects before it has ended electing", () => {
    const before = world({ web: "192.168.10.0", api: "192.168.10.1" });
    const after = world({ web: "192.168.10.0", api: "192.168.10.1" }, { endpointSlices: new Map() });
    let asked = 0;
    parts = { ...parts, news: () => ((asked += 1) === 1 ? after.snapshot : undefined) };
    const pass = passing(parts, before);
    const changed = "192.168.10.0:80 0,192.168.10.1:80 0";
    while (frontendsNow().join() !== changed) assert.equal(pass.next().done, false);
    assert.equal(asked, 1);
    assert.deepEqual(announcedNow(), []);
    assert.equal(atOnce(pass).settled, true);
    assert.deepEqual(announcedNow(), ["192.168.10.0 2", "192.168.10.1 2"]);
    assert.equal(frontendsNow().join(), changed);
  });

  test("that lost a node does not go back to older objects after it has elected", () => {
    runPass(parts, world({ web: "192.168.10.0" }, {}, ["me", "peer"]));
    const before = world({ web: "192.168.10.0" }, {}, ["me"], ["peer"]);
    const after = world({ web: "192.168.10.0" }, { endpointSlices: new Map() }, ["me"], ["peer"]);
    let asked = 0;
    parts = { ...parts, news: () => ((asked += 1) === 1 ? after.snapshot : undefined) };
    runPass(parts, before);
    assert.deepEqual(frontendsNow(), ["192.168.10.0:80 0"]);
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

  test("takes nothing more until the others have seen its agent, but gives up what is not its own any more", () => {
    runPass(parts, world({ web: "192.168.10.0", api: "192.168.10.1" }));
    start();
    view = { ...view, mayTake: false };
    assert.equal(runPass(parts, world({ web: "192.168.10.0", db: "192.168.10.2" })).settled, true);
    assert.deepEqual(announcedNow(), ["192.168.10.0 2"]);
    assert.deepEqual(places, ["192.168.10.0 2"]);
    view = { ...view, mayTake: true };
    runPass(parts, world({ web: "192.168.10.0", db: "192.168.10.2" }));
    assert.deepEqual(announcedNow(), ["192.168.10.0 2", "192.168.10.2 2"]);
  });

  test("says that it is informed when all that decides was read, not before", () => {
    let informed = 0;
    parts = { ...parts, inform: () => (informed += 1) };
    for (const kind of [
      "services",
      "endpointSlices",
      "nodes",
      "ipAddressPools",
      "l2Advertisements",
      "namespaces",
    ] as const)
      runPass(parts, world({ web: "192.168.10.0" }, { unread: new Set([kind]), complete: false }));
    assert.equal(informed, 0);
    runPass(parts, world({ web: "192.168.10.0" }, { unread: new Set(["bgpPeers"]), complete: false }));
    assert.equal(informed, 1);
  });

  for (const kind of ["endpointSlices", "l2Advertisements", "ipAddressPools", "nodes"] as const)
    test(`after a restart takes nothing away, and says nothing, while ${kind} have not been read`, () => {
      runPass(parts, world({ web: "192.168.10.0" }));
      start();
      const unread = { [kind]: new Map(), unread: new Set([kind]), complete: false };
      assert.equal(runPass(parts, world({ web: "192.168.10.0" }, unread)).settled, false);
      assert.deepEqual([announcedNow(), frontendsNow()], [["192.168.10.0 2"], ["192.168.10.0:80 2"]]);
      assert.equal(parts.state.placed, undefined);
      assert.deepEqual(runPass(parts, world({ web: "192.168.10.0" })), { written: 0, settled: true });
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
    atOnce(readBack(parts.state));
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

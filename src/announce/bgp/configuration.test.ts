/** A mistake costs what it is about, and nothing else: last good forms, and who gives way when objects conflict. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  bgpObjects,
  configure,
  goodPeer,
  POOL,
  problemTexts,
  type BgpRow,
  type Spec,
} from "./configuration.fixture.ts";
import { parseBgpConfiguration } from "./configuration.ts";

const GOOD: BgpRow = {
  peers: { a: goodPeer({ bfdProfile: "fast", passwordSecret: { name: "s" } }), b: goodPeer({}, 2) },
  ads: { ad: { communities: ["vip"], localPref: 100 } },
  bfd: { fast: { receiveInterval: 50 } },
  communities: { c: { communities: [{ name: "vip", value: "64512:1" }] } },
  secrets: { s: { type: "kubernetes.io/basic-auth", stringData: { password: "x" } } },
  pools: POOL,
};

const before = configure(GOOD);

test("everything in order: everything used, nothing reported", () => {
  assert.deepEqual(problemTexts(before), []);
  assert.deepEqual([...before.peers.keys()], ["a", "b"]);
  assert.deepEqual([...(before.advertisements.get("metallb-system/ad")?.pools ?? [])], ["pool"]);
});

test("an empty configuration is none, and nothing to complain about", () => {
  const { peers, advertisements, problems } = configure({});
  assert.deepEqual([peers.size, advertisements.size, problems], [0, 0, []]);
});

/** What happens to a configuration in use, and what is left of it unchanged. */
const changes: readonly { readonly name: string; readonly change: BgpRow; readonly says: RegExp }[] = [
  {
    name: "a peer with a mistake",
    change: { peers: { ...GOOD.peers, b: goodPeer({ myASN: 0 }, 2) } },
    says: /BGPPeer metallb-system\/b: .*missing local ASN/,
  },
  {
    name: "a peer on another's address",
    change: { peers: { ...GOOD.peers, b: goodPeer({}, 1) } },
    says: /BGPPeer metallb-system\/b: .*has the same peer/,
  },
  {
    name: "an older peer edited onto another's address",
    change: { peers: { ...GOOD.peers, a: goodPeer({ bfdProfile: "fast", passwordSecret: { name: "s" } }, 2) } },
    says: /^BGPPeer metallb-system\/a: .*metallb-system\/b has the same peer/,
  },
  { name: "a deleted BFD profile", change: { bfd: {} }, says: /referencing non existing bfd profile "fast"/ },
  { name: "a deleted Secret", change: { secrets: {} }, says: /secret ref not found/ },
  { name: "a Secret of another type", change: { secrets: { s: { type: "Opaque" } } }, says: /secret type mismatch/ },
  {
    name: "a deleted Community",
    change: { communities: {} },
    says: /BGPAdvertisement metallb-system\/ad: .*invalid community format: "vip"/,
  },
  {
    name: "an alias with a mistake",
    change: { communities: { c: { communities: [{ name: "vip", value: "64512" }] } } },
    says: /Community metallb-system\/c: .*invalid community format/,
  },
  {
    name: "an advertisement with a mistake",
    change: { ads: { ad: { communities: ["vip"], localPref: 100, aggregationLength: 33 } } },
    says: /invalid aggregation length/,
  },
  {
    name: "a second advertisement with another LOCAL_PREF",
    change: { ads: { aa: { localPref: 1 }, ...GOOD.ads } },
    says: /BGPAdvertisement metallb-system\/aa: .*invalid localPref 1/,
  },
];

for (const { name, change, says } of changes) {
  test(`after ${name}: it is reported, and what was used goes on`, () => {
    const after = configure({ ...GOOD, ...change }, { before });
    assert.match(problemTexts(after).join("\n"), says);
    assert.deepEqual(after.peers, before.peers);
    const { med, ...ad } = after.advertisements.get("metallb-system/ad") ?? {};
    assert.deepEqual([med, ad], [undefined, before.advertisements.get("metallb-system/ad")]);
  });

  test(`after ${name}: mended, nothing is left of it`, () => {
    const broken = configure({ ...GOOD, ...change }, { before });
    assert.deepEqual(configure(GOOD, { before: broken }), before);
  });
}

test("after a change that is right: it takes effect", () => {
  const changed = {
    ...GOOD,
    peers: { ...GOOD.peers, b: goodPeer({ holdTime: "30s" }, 2) },
    ads: { ad: { localPref: 7 } },
  };
  const after = configure(changed, { before });
  assert.deepEqual(problemTexts(after), []);
  assert.equal(after.peers.get("b")?.holdTimeSeconds, 30);
  assert.equal(after.advertisements.get("metallb-system/ad")?.localPref, 7);
});

test("an alias whose value breaks keeps its last one, for advertisements that are new too", () => {
  const communities = { c: { communities: [{ name: "vip", value: "64512" }] } };
  const after = configure(
    { ...GOOD, communities, ads: { ...GOOD.ads, next: { communities: ["vip"], localPref: 100 } } },
    { before },
  );
  assert.deepEqual(after.aliases, before.aliases);
  assert.equal(after.advertisements.get("metallb-system/next")?.communities.length, 1);
});

test("a last good form is not that of a deleted object, nor of another one", () => {
  const { peers, advertisements } = configure({}, { before });
  assert.deepEqual([peers.size, advertisements.size], [0, 0]);
});

test("a last good form keeps its place before a newcomer on the same address", () => {
  const peers = { ...GOOD.peers, b: goodPeer({ myASN: 0 }, 2), c: goodPeer({}, 2) };
  const after = configure({ ...GOOD, peers }, { before });
  assert.deepEqual(after.peers, before.peers);
  assert.match(problemTexts(after).join("\n"), /BGPPeer metallb-system\/c: .*metallb-system\/b has the same peer/);
});

test("an advertisement that got no pool does not take one from another when it could have had it", () => {
  const one = (localPref: number, aggregationLength = 28): Spec => ({ localPref, aggregationLength });
  const row = { pools: POOL, ads: { x: one(0), y: one(100), z: one(0) } };
  const used = configure(row);
  const after = configure({ ...row, ads: { ...row.ads, x: one(0, 26) } }, { before: used });
  const announcing = [...after.advertisements.values()].filter(({ pools }) => pools.size > 0);
  assert.deepEqual(
    announcing.map(({ name }) => name),
    ["z"],
  );
});

test("pools are attached anew to a last good form", () => {
  const change = { ads: { ad: { communities: ["nobody"] } }, pools: { ...POOL, more: { addresses: ["10.0.0.0/24"] } } };
  const after = configure({ ...GOOD, ...change }, { before });
  assert.deepEqual([...(after.advertisements.get("metallb-system/ad")?.pools ?? [])], ["more", "pool"]);
});

test("the order of objects changes nothing", () => {
  const row: BgpRow = {
    ...GOOD,
    peers: { ...GOOD.peers, c: goodPeer({}, 1), d: goodPeer({ myASN: 0 }, 4) },
    ads: { ...GOOD.ads, other: { localPref: 3 }, third: { localPref: 4, communities: ["x"] } },
  };
  const expected = configure(row);
  const shuffled = <T>(map: ReadonlyMap<string, T>, seed: number): ReadonlyMap<string, T> =>
    new Map([...map].toSorted(([a], [b]) => ((a.charCodeAt(15) * seed) % 7) - ((b.charCodeAt(15) * seed) % 7)));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), (seed) => {
      const objects = bgpObjects(row);
      const found = parseBgpConfiguration({
        ...objects,
        bgpPeers: shuffled(objects.bgpPeers, seed),
        bgpAdvertisements: shuffled(objects.bgpAdvertisements, seed),
      });
      assert.deepEqual([...found.peers], [...expected.peers]);
      assert.deepEqual([...found.advertisements], [...expected.advertisements]);
      assert.deepEqual(problemTexts(found).toSorted(), problemTexts(expected).toSorted());
    }),
  );
});

test("an object that is wrong a hundred thousand times is a hundred problems and a number", () => {
  const many = Array.from({ length: 150_000 }, (_, index) => `x${index % 70_000}`);
  const configuration = configure({
    ads: { a: { ipAddressPools: many, peers: many, communities: many } },
    pools: POOL,
  });
  assert.equal(configuration.problems.length, 101);
  assert.match(configuration.problems.at(-1)?.message ?? "", /^and \d+ more problems$/);
});

/** Small worlds, so that objects meet. */
const anyPeer = fc.record({
  peerAddress: fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.3", "nonsense", ""),
  myASN: fc.constantFrom(0, 64512, 64513),
  vrf: fc.constantFrom("", "red"),
  bfdProfile: fc.constantFrom("", "fast", "missing"),
  nodeSelectors: fc.constantFrom<readonly object[]>(
    [],
    [{ matchLabels: { rack: "1" } }],
    [{ matchLabels: { rack: "2" } }],
  ),
});
const anyAdvertisement = fc.record({
  localPref: fc.constantFrom(0, 100),
  aggregationLength: fc.constantFrom(26, 28, 32, 33),
  communities: fc.constantFrom<readonly string[]>([], ["vip"], ["nobody"]),
  peers: fc.constantFrom<readonly string[]>([], ["a"], ["b"]),
});
const anyRow = fc.record({
  peers: fc.dictionary(
    fc.constantFrom("a", "b", "c", "d"),
    anyPeer.map((fields) => goodPeer(fields)),
    { noNullPrototype: true },
  ),
  ads: fc.dictionary(fc.constantFrom("x", "y", "z"), anyAdvertisement, { noNullPrototype: true }),
  pools: fc.constant(POOL),
  bfd: fc.constant({ fast: {} }),
  communities: fc.constantFrom(GOOD.communities ?? {}, {}),
  nodes: fc.constantFrom({}, { n1: { rack: "1" }, n2: { rack: "2" } }),
});

test("no two peers in use meet on a node at one address, and whoever is not in use has a problem", () => {
  fc.assert(
    fc.property(anyRow, anyRow, (first, second) => {
      const found = configure(second, { before: configure(first) });
      const names = new Set(Object.keys(second.peers));
      for (const name of found.peers.keys()) assert.ok(names.has(name));
      for (const name of names.difference(new Set(found.peers.keys())))
        assert.ok(
          found.problems.some(({ subject }) => subject === `BGPPeer metallb-system/${name}`),
          name,
        );
      // Nobody in use is in conflict with the others: judged anew, they are all still there.
      assert.deepEqual(new Set(configure(second, { before: found }).peers.keys()), new Set(found.peers.keys()));
    }),
  );
});

test("whatever becomes of one object, every other that is in use and unchanged stays as it is", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const adName = fc.constantFrom("x", "y", "z");
  fc.assert(
    fc.property(anyRow, name, anyPeer, adName, anyAdvertisement, (row, peer, fields, ad, adFields) => {
      const used = configure(row);
      const edited = { ...row, peers: { ...row.peers, [peer]: goodPeer(fields) }, ads: { ...row.ads, [ad]: adFields } };
      const after = configure(edited, { before: used });
      for (const [key, value] of used.peers) if (key !== peer) assert.deepEqual(after.peers.get(key), value);
      for (const [key, value] of used.advertisements)
        if (key !== `metallb-system/${ad}`)
          assert.ok(value.pools.isSubsetOf(after.advertisements.get(key)?.pools ?? new Set()));
    }),
  );
});

test("a configuration judged again beside itself is the same", () => {
  fc.assert(
    fc.property(anyRow, (row) => {
      const once = configure(row);
      assert.deepEqual(configure(row, { before: once }).peers, once.peers);
      assert.deepEqual(configure(row, { before: once }).problems, once.problems);
    }),
  );
});

/** A mistake costs what it is about, and nothing else: last good forms, and who gives way when objects conflict. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bgpObjects, configure, goodPeer, POOL, problemTexts, type BgpRow } from "./configuration.fixture.ts";
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

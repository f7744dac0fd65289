import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { address, formatAddress } from "../../net/address.ts";
import { formatPrefix, parsePrefix, prefixOf, type Prefix } from "../../net/prefix.ts";
import { persistentMap } from "../../reconcile/persistent-map.ts";
import {
  advertise as advertiseRoutes,
  endOfRibs,
  NOTHING_TOLD,
  refresh,
  type Advertisement,
  type Told,
} from "./adjacency-out.ts";
import { parseCommunity, type Community } from "./community.ts";
import { INITIAL_CONTEXT, type SessionContext } from "./context.ts";
import { decodeMessage, type Message } from "./message.ts";
import { routesByPrefix, type Route, type Sender } from "./route.ts";
import { routesOf, type Update } from "./update.ts";

const CONTEXT: SessionContext = { ...INITIAL_CONTEXT, fourOctetAs: true, families: ["IPv4", "IPv6"] };
const V4 = { address: address("10.0.0.1") };
const V6 = { address: address("fd00::1"), linkLocal: address("fe80::1") };
const SENDER: Sender = { context: CONTEXT, localAs: 65011, nextHops: { IPv4: V4, IPv6: V6 } };

function advertise(told: Told, desired: readonly Route[], sender: Sender): Advertisement {
  return advertiseRoutes(told, routesByPrefix(desired), sender);
}

/** Few prefixes, so that they meet again. */
const prefixes: fc.Arbitrary<Prefix> = fc
  .tuple(fc.constantFrom("IPv4" as const, "IPv6" as const), fc.nat({ max: 5 }), fc.constantFrom(24, 31, 32))
  .map(([family, value, length]) => prefixOf({ family, value: BigInt(value) << 3n }, length));
const desiredRoutes: fc.Arbitrary<readonly Route[]> = fc.array(
  fc.record({ prefix: prefixes, multiExitDisc: fc.nat({ max: 2 }), asPathPrepend: fc.nat({ max: 300 }) }),
  { maxLength: 12 },
);
const senders: fc.Arbitrary<Sender> = fc
  .record({
    fourOctetAs: fc.boolean(),
    external: fc.boolean(),
    extendedNextHop: fc.boolean(),
    unnumbered: fc.boolean(),
  })
  .map(({ unnumbered, ...context }) => ({
    context: { ...CONTEXT, ...context },
    localAs: 4_200_000_001,
    nextHops: unnumbered ? { IPv4: V6, IPv6: V6 } : { IPv4: V4, IPv6: V6 },
  }));

describe("what a peer is told", () => {
  test("shares messages between routes with the same attributes, and ends with one end-of-RIB for each family", () => {
    const routes = ["10.1.0.1/32", "10.1.0.2/32", "2001:db8::1/128", "2001:db8::2/128"].map((text) => route(text));
    const { messages, announced } = advertise(NOTHING_TOLD, routes, SENDER);
    assert.deepEqual([messages.length, announced], [2, 4]);
    assert.deepEqual(tableAfter(messages), {
      "10.1.0.1/32": "10.0.0.1",
      "10.1.0.2/32": "10.0.0.1",
      "2001:db8::1/128": "fd00::1 fe80::1",
      "2001:db8::2/128": "fd00::1 fe80::1",
    });
    assert.deepEqual(
      endOfRibs(SENDER).map((bytes) => [bytes.length, routesOf(decodeUpdate(bytes)).endOfRib]),
      [
        [23, "IPv4"],
        [29, "IPv6"],
      ],
    );
  });

  test("costs one message for one change, and none for none", () => {
    const routes = Array.from({ length: 3000 }, (_, i) => hostRoute(i));
    const first = advertise(NOTHING_TOLD, routes, SENDER);
    const changed = routes.with(7, { ...hostRoute(7), multiExitDisc: 5 });
    const second = advertise(first.told, changed, SENDER);
    assert.deepEqual([second.messages.length, second.announced, second.withdrawn], [1, 1, 0]);
    const third = advertise(second.told, changed.slice(1), SENDER);
    assert.deepEqual([third.messages.length, third.announced, third.withdrawn], [1, 0, 1]);
    const fourth = advertise(
      third.told,
      changed.slice(1).map((one) => ({ ...one })),
      SENDER,
    );
    assert.deepEqual(fourth.messages, []);
  });

  test("is looked at where it is another than last time, and nowhere else", () => {
    let looks = 0;
    const watched = (one: Route): Route =>
      new Proxy(one, { get: (target, field) => ((looks += 1), Reflect.get(target, field) as unknown) });
    const routes = Array.from({ length: 3000 }, (_, i) => watched(hostRoute(i)));
    const first = persistentMap(routesByPrefix(routes));
    const { told } = advertiseRoutes(NOTHING_TOLD, first, SENDER);
    const draft = first.draft();
    draft.set("10.0.0.7/32", { ...hostRoute(7), multiExitDisc: 5 });
    draft.delete("10.0.0.8/32");
    looks = 0;
    const { announced, withdrawn, told: now } = advertiseRoutes(told, draft.finish(), SENDER);
    assert.deepEqual([announced, withdrawn, now.routes.size], [1, 1, 2999]);
    // Of the one that goes, its prefix.
    assert.equal(looks, 1);
  });

  test("is announced before anything is withdrawn: an aggregate is there before its parts go", () => {
    const parts = [route("10.1.0.0/25"), route("10.1.0.128/25")];
    const { told } = advertise(NOTHING_TOLD, parts, SENDER);
    const { messages } = advertise(told, [route("10.1.0.0/24")], SENDER);
    assert.deepEqual(
      messages.map((bytes) => routesOf(decodeUpdate(bytes))).map((one) => [one.announced.length, one.withdrawn.length]),
      [
        [1, 0],
        [0, 2],
      ],
    );
  });

  test("never exceeds a message, whatever its length, and uses what an extended one has", () => {
    const routes = Array.from({ length: 20_000 }, (_, i) => hostRoute(i));
    for (const [sendExtended, longest, count] of [
      [false, 4096, 25],
      [true, 65535, 2],
    ] as const) {
      const context = { ...CONTEXT, sendExtended, receiveExtended: sendExtended };
      const sender = { ...SENDER, context };
      const { told, messages } = advertise(NOTHING_TOLD, routes, sender);
      assert.equal(messages.length, count);
      assert.ok(messages.every(({ length }) => length <= longest));
      assert.equal(Object.keys(tableAfter(messages, context)).length, 20_000);
      const gone = advertise(told, [], sender);
      assert.equal(gone.messages.length, count);
      assert.ok(gone.messages.every(({ length }) => length <= longest));
      assert.deepEqual(tableAfter([...messages, ...gone.messages], context), {});
    }
  });

  const fullest: readonly { name: string; route: (i: number) => Route; count: number; lengths: readonly number[] }[] = [
    // 23 and origin 4, path 9, next hop 7; five bytes a prefix: 810, and 3 bytes to spare.
    { name: "3 bytes to spare", route: hostRoute, count: 811, lengths: [4093, 48] },
    { name: "a byte too few for one more", route: (i) => prepended(i, 1), count: 810, lengths: [4092, 52] },
    { name: "nothing to spare", route: (i) => prepended(i, 2), count: 810, lengths: [4096, 56] },
    // 23, origin 4, path 9, MP_REACH 4 + 5 + 32; 17 bytes a prefix: 236, and 7 to spare.
    { name: "IPv6 and 7 bytes to spare", route: hostRoute6, count: 237, lengths: [4089, 93] },
    // Ten bytes of path more would be one byte too many: 236 fit with 4 and 4 only.
    {
      name: "IPv6 and 3 bytes to spare",
      route: (i) => ({ ...hostRoute6(i), asPathPrepend: 1 }),
      count: 237,
      lengths: [4093, 97],
    },
    {
      name: "IPv6 and 16 bytes to spare",
      route: (i) => ({ ...hostRoute6(i), asPathPrepend: 2 }),
      count: 237,
      lengths: [4080, 118],
    },
  ];
  for (const { name, route: make, count, lengths } of fullest) {
    test(`fills a message and no more: ${name}`, () => {
      const { messages } = advertise(
        NOTHING_TOLD,
        Array.from({ length: count }, (_, i) => make(i)),
        SENDER,
      );
      assert.deepEqual(
        messages.map(({ length }) => length),
        lengths,
      );
    });
  }

  test("leaves out what the peer cannot be told, says why, and withdraws it if it was told before", () => {
    const both = [route("10.1.0.1/32"), route("2001:db8::1/128")];
    const { told } = advertise(NOTHING_TOLD, both, SENDER);
    const { told: now, messages } = advertise(told, both, { ...SENDER, nextHops: { IPv4: V4 } });
    assert.deepEqual(
      Array.from(now.withheld.values(), ({ route: { prefix }, reason }) => `${formatPrefix(prefix)}: ${reason}`),
      ["2001:db8::1/128: this node has no IPv6 next hop on the session's interface"],
    );
    assert.deepEqual(
      messages.map((bytes) => routesOf(decodeUpdate(bytes)).withdrawn.map(formatPrefix)),
      [["2001:db8::1/128"]],
    );
  });

  const withheld: readonly { name: string; route: Route; sender: Sender; reason: RegExp }[] = [
    {
      name: "a family the session does not carry",
      route: route("2001:db8::1/128"),
      sender: { ...SENDER, context: { ...CONTEXT, families: ["IPv4"] } },
      reason: /does not carry IPv6/,
    },
    {
      name: "IPv4 by an IPv6 next hop the peer does not take",
      route: route("10.1.0.1/32"),
      sender: { ...SENDER, nextHops: { IPv4: V6 } },
      reason: /takes no IPv6 next hop \(fd00::1\) for IPv4/,
    },
    {
      name: "IPv6 by an IPv4 next hop, which nobody takes",
      route: { ...route("2001:db8::1/128"), nextHop: V4 },
      sender: { ...SENDER, context: { ...CONTEXT, extendedNextHop: true } },
      reason: /takes no IPv4 next hop/,
    },
    {
      name: "more communities than a message holds",
      route: { ...route("10.1.0.1/32"), communities: standardCommunities(1100) },
      sender: SENDER,
      reason: /fill a message/,
    },
  ];
  for (const row of withheld) {
    test(`is not ${row.name}`, () => {
      const { told, messages } = advertise(NOTHING_TOLD, [row.route], row.sender);
      assert.deepEqual(messages, []);
      assert.match([...told.withheld.values()][0]?.reason ?? "", row.reason);
    });
  }

  test("of two routes for one prefix is the first", () => {
    const two = [
      { ...route("10.1.0.1/32"), multiExitDisc: 1 },
      { ...route("10.1.0.1/32"), multiExitDisc: 2 },
    ];
    const { messages } = advertise(NOTHING_TOLD, two, SENDER);
    assert.equal(messages.length, 1);
    assert.deepEqual(attributeOf(messages[0], "multiExitDisc"), { type: "multiExitDisc", value: 1 });
  });

  test("again, on request, is all of one family and nothing of the other, between markers where both know them", () => {
    const { told } = advertise(NOTHING_TOLD, [route("10.1.0.1/32"), route("2001:db8::1/128")], SENDER);
    assert.deepEqual(Object.keys(tableAfter(refresh(told, "IPv6", SENDER))), ["2001:db8::1/128"]);
    const enhanced = { ...SENDER, context: { ...CONTEXT, enhancedRouteRefresh: true } };
    assert.deepEqual(
      refresh(told, "IPv4", enhanced).map((bytes) => {
        const message = decoded(bytes, enhanced.context);
        return message.type === "routeRefresh" ? message.subtype : message.type;
      }),
      ["begin", "update", "end"],
    );
  });

  test("changes with the next hop of the session", () => {
    const routes = [route("10.1.0.1/32")];
    const { told } = advertise(NOTHING_TOLD, routes, SENDER);
    const moved = { ...SENDER, nextHops: { IPv4: { address: address("10.0.0.9") } } };
    assert.deepEqual(tableAfter(advertise(told, routes, moved).messages), { "10.1.0.1/32": "10.0.0.9" });
  });

  test("is what is desired after any sequence of changes, on every kind of session", () => {
    fc.assert(
      fc.property(fc.array(desiredRoutes, { maxLength: 6 }), senders, (steps, sender) => {
        let told: Told = NOTHING_TOLD;
        const sent: Uint8Array[] = [];
        for (const desired of steps) {
          const result = advertise(told, desired, sender);
          told = result.told;
          sent.push(...result.messages);
          assert.deepEqual(advertise(told, desired, sender).messages, []);
          const fresh = advertise(NOTHING_TOLD, desired, sender);
          assert.deepEqual(tableAfter(sent, sender.context), tableAfter(fresh.messages, sender.context));
        }
      }),
    );
  });
});

describe("a route's attributes", () => {
  const rows: readonly {
    name: string;
    route?: Partial<Route>;
    sender?: Partial<Sender>;
    context?: Partial<SessionContext>;
    types: string;
  }[] = [
    { name: "to another AS: no local preference", route: { localPref: 200 }, types: "origin asPath nextHop" },
    {
      name: "inside the AS: a local preference always",
      context: { external: false },
      types: "origin asPath nextHop localPref",
    },
    { name: "a MED where there is one", route: { multiExitDisc: 0 }, types: "origin asPath nextHop multiExitDisc" },
    {
      name: "all kinds of communities",
      route: { communities: ["large:1:2:3", "rt:1:2", "no-export"].map(community) },
      types: "origin asPath nextHop communities extendedCommunities largeCommunities",
    },
    { name: "to a customer: OTC", sender: { localRole: "provider" }, types: "origin asPath nextHop onlyToCustomer" },
    { name: "to a provider: none", sender: { localRole: "customer" }, types: "origin asPath nextHop" },
    {
      name: "a long AS to an old speaker",
      sender: { localAs: 4_200_000_000 },
      context: { fourOctetAs: false },
      types: "origin asPath nextHop as4Path",
    },
    { name: "a short AS to an old speaker", context: { fourOctetAs: false }, types: "origin asPath nextHop" },
  ];
  for (const row of rows) {
    test(row.name, () => {
      const context = { ...CONTEXT, ...row.context };
      const sender = { ...SENDER, ...row.sender, context };
      const { messages } = advertise(NOTHING_TOLD, [{ ...route("10.1.0.1/32"), ...row.route }], sender);
      assert.equal(
        decodeUpdate(messages[0], context)
          .attributes.map(({ type }) => type)
          .join(" "),
        row.types,
      );
    });
  }

  test("to an old speaker carry AS_TRANS, and the number beside it", () => {
    const context = { ...CONTEXT, fourOctetAs: false };
    const sender = { ...SENDER, context, localAs: 4_200_000_000 };
    const { messages } = advertise(NOTHING_TOLD, [{ ...route("10.1.0.1/32"), asPathPrepend: 1 }], sender);
    const { attributes } = decodeUpdate(messages[0], context);
    assert.deepEqual(attributes[1], { type: "asPath", segments: [{ type: "sequence", numbers: [23456, 23456] }] });
    assert.deepEqual(attributes[3], {
      type: "as4Path",
      segments: [{ type: "sequence", numbers: [4_200_000_000, 4_200_000_000] }],
    });
  });
});

function route(text: string): Route {
  const prefix = parsePrefix(text);
  assert.ok(prefix);
  return { prefix };
}

function hostRoute(i: number): Route {
  return { prefix: prefixOf({ family: "IPv4", value: 0x0a00_0000n + BigInt(i) }, 32) };
}

function hostRoute6(i: number): Route {
  return { prefix: prefixOf({ family: "IPv6", value: (0x2001_0db8n << 96n) + BigInt(i) }, 128) };
}

function prepended(i: number, asPathPrepend: number): Route {
  return { ...hostRoute(i), asPathPrepend };
}

function community(text: string): Community {
  const parsed = parseCommunity(text);
  assert.ok(parsed.ok, text);
  return parsed.value;
}

function standardCommunities(count: number): readonly Community[] {
  return Array.from({ length: count }, (_, value) => ({ type: "standard", value }));
}

function decoded(bytes: Uint8Array | undefined, context: SessionContext = CONTEXT): Message {
  const message = decodeMessage(bytes ?? new Uint8Array(0), context);
  assert.ok(message.ok, message.ok ? "" : message.error.reason);
  return message.value;
}

function decodeUpdate(bytes: Uint8Array | undefined, context: SessionContext = CONTEXT): Update {
  const message = decoded(bytes, context);
  assert.equal(message.type, "update");
  assert.ok(message.type === "update");
  assert.deepEqual(message.faults, []);
  return message;
}

function attributeOf(bytes: Uint8Array | undefined, type: string): unknown {
  return decodeUpdate(bytes).attributes.find((attribute) => attribute.type === type);
}

/** What a receiver's table holds after these messages: the next hop by prefix. */
function tableAfter(messages: readonly Uint8Array[], context: SessionContext = CONTEXT): Record<string, string> {
  const table = new Map<string, string>();
  for (const bytes of messages) {
    const message = decoded(bytes, context);
    if (message.type !== "update") continue;
    const { announced, withdrawn } = routesOf(message);
    for (const prefix of withdrawn) table.delete(formatPrefix(prefix));
    for (const { prefix, nextHop } of announced)
      table.set(
        formatPrefix(prefix),
        [nextHop.address, ...(nextHop.linkLocal === undefined ? [] : [nextHop.linkLocal])].map(formatAddress).join(" "),
      );
  }
  return Object.fromEntries([...table].toSorted(([a], [b]) => a.localeCompare(b)));
}

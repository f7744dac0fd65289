/** Messages at random, for the tests of everything that reads or writes them. */
import fc from "fast-check";
import { hex } from "../../bytes/hex.ts";
import type { Address, Family } from "../../net/address.ts";
import { addressBits, prefixOf, type Prefix } from "../../net/prefix.ts";
import type { AsSegment } from "./as-path.ts";
import type { PathAttribute } from "./attribute.ts";
import { ROLES, type Capability } from "./capability.ts";
import { INITIAL_CONTEXT, type SessionContext } from "./context.ts";
import type { AfiSafi } from "./family.ts";
import type { Message } from "./message.ts";

/** All that two of today's speakers agree on, so that every kind of message may occur. */
export const FULL_CONTEXT: SessionContext = {
  ...INITIAL_CONTEXT,
  fourOctetAs: true,
  external: false,
  families: ["IPv4", "IPv6"],
  extendedNextHop: true,
};

export const MARKER = "ff".repeat(16);

/** A whole message: header and body. */
export function message(type: number, body: string): Uint8Array {
  const length = 19 + hex(body).length;
  return hex(`${MARKER} ${length.toString(16).padStart(4, "0")} ${type.toString(16).padStart(2, "0")} ${body}`);
}

/** With the prototype of values of ours. */
function record<Value>(model: { [Key in keyof Value]: fc.Arbitrary<Value[Key]> }): fc.Arbitrary<Value> {
  return fc.record<Value>(model, { noNullPrototype: true });
}

const u8 = fc.nat({ max: 0xff });
const u16 = fc.nat({ max: 0xffff });
const u32 = fc.nat({ max: 0xffff_ffff });
const asNumbers = fc.integer({ min: 1, max: 0xffff_ffff });
const bytes = fc.uint8Array({ maxLength: 300 });

function addresses(family: Family): fc.Arbitrary<Address> {
  return fc.bigInt({ min: 0n, max: (1n << BigInt(addressBits(family))) - 1n }).map((value) => ({ family, value }));
}

function prefixes(family: Family): fc.Arbitrary<readonly Prefix[]> {
  const one = fc
    .tuple(addresses(family), fc.nat({ max: addressBits(family) }))
    .map(([address, length]) => prefixOf(address, length));
  return fc.array(one, { maxLength: 20 });
}

const families: fc.Arbitrary<AfiSafi> = fc.constantFrom("IPv4", "IPv6", "1/128", "25/70");
const foreignFamilies: fc.Arbitrary<AfiSafi> = fc.constantFrom("1/128", "2/4", "16388/71");
const forwarding = record({ family: families, forwarding: fc.boolean() });

const capabilities: fc.Arbitrary<Capability> = fc.oneof(
  record({ type: fc.constant("multiprotocol" as const), family: families }),
  fc.constantFrom<Capability>(
    { type: "routeRefresh" },
    { type: "extendedMessage" },
    { type: "enhancedRouteRefresh" },
    { type: "linkLocalNextHop" },
  ),
  record({
    type: fc.constant("role" as const),
    role: fc.oneof(
      fc.constantFrom(...(Object.keys(ROLES) as (keyof typeof ROLES)[])),
      fc.integer({ min: 5, max: 255 }),
    ),
  }),
  record({ type: fc.constant("fourOctetAs" as const), as: u32 }),
  record({
    type: fc.constant("extendedNextHop" as const),
    entries: fc.array(record({ family: families, nextHopAfi: u16 }), { maxLength: 5 }),
  }),
  record({
    type: fc.constant("gracefulRestart" as const),
    restarting: fc.boolean(),
    notification: fc.boolean(),
    restartTimeSeconds: fc.nat({ max: 4095 }),
    families: fc.array(forwarding, { maxLength: 4 }),
  }),
  record({
    type: fc.constant("longLivedGracefulRestart" as const),
    families: fc.array(
      record({ family: families, forwarding: fc.boolean(), staleTimeSeconds: fc.nat({ max: 0xff_ffff }) }),
      { maxLength: 4 },
    ),
  }),
  record({
    type: fc.constant("hostname" as const),
    hostname: fc.string({ maxLength: 20, unit: "grapheme-ascii" }),
    domain: fc.string({ maxLength: 20, unit: "grapheme-ascii" }),
  }),
  record({
    type: fc.constant("unknown" as const),
    code: fc.integer({ min: 128, max: 255 }),
    value: fc.uint8Array({ maxLength: 60 }),
  }),
);

const segments: fc.Arbitrary<readonly AsSegment[]> = fc.array(
  record({
    type: fc.constantFrom("set" as const, "sequence" as const),
    numbers: fc.array(asNumbers, { minLength: 1, maxLength: 255 }),
  }),
  { maxLength: 3 },
);

const ipv6NextHops = fc
  .tuple(addresses("IPv6"), fc.option(addresses("IPv6")))
  .map(([address, linkLocal]) => (linkLocal === null ? { address } : { address, linkLocal }));

/** At most one of each, by ascending code with MP first: the order of the wire. */
const attributes: fc.Arbitrary<readonly PathAttribute[]> = fc
  .tuple(
    ...[
      fc.oneof(
        record({
          type: fc.constant("mpReach" as const),
          family: fc.constantFrom("IPv4" as const, "IPv6" as const),
          nextHop: ipv6NextHops,
          prefixes: prefixes("IPv6"),
        }),
        record({ type: fc.constant("mpReachOther" as const), family: foreignFamilies, value: bytes }),
      ),
      fc.oneof(
        record({
          type: fc.constant("mpUnreach" as const),
          family: fc.constant("IPv6" as const),
          prefixes: prefixes("IPv6"),
        }),
        record({ type: fc.constant("mpUnreachOther" as const), family: foreignFamilies, value: bytes }),
      ),
      record({
        type: fc.constant("origin" as const),
        origin: fc.constantFrom("igp" as const, "egp" as const, "incomplete" as const),
      }),
      record({ type: fc.constant("asPath" as const), segments }),
      record({ type: fc.constant("nextHop" as const), address: addresses("IPv4") }),
      record({ type: fc.constant("multiExitDisc" as const), value: u32 }),
      record({ type: fc.constant("localPref" as const), value: u32 }),
      fc.constant({ type: "atomicAggregate" as const }),
      record({ type: fc.constant("aggregator" as const), as: asNumbers, address: addresses("IPv4") }),
      record({ type: fc.constant("communities" as const), values: fc.array(u32, { minLength: 1, maxLength: 80 }) }),
      record({ type: fc.constant("originatorId" as const), bgpIdentifier: u32 }),
      record({
        type: fc.constant("clusterList" as const),
        clusterIds: fc.array(u32, { minLength: 1, maxLength: 5 }),
      }),
      record({
        type: fc.constant("extendedCommunities" as const),
        values: fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { minLength: 1, maxLength: 5 }),
      }),
      record({
        type: fc.constant("largeCommunities" as const),
        values: fc.array(
          record({
            type: fc.constant("large" as const),
            globalAdministrator: u32,
            localData1: u32,
            localData2: u32,
          }),
          { minLength: 1, maxLength: 5 },
        ),
      }),
      record({ type: fc.constant("onlyToCustomer" as const), as: u32 }),
      record({
        type: fc.constant("unknown" as const),
        code: fc.integer({ min: 100, max: 255 }),
        transitive: fc.boolean(),
        partial: fc.boolean(),
        value: bytes,
      }),
    ].map((one: fc.Arbitrary<PathAttribute>) => fc.option(one)),
  )
  .map((list) => list.filter((one) => one !== null).map(fittingPrefixes));

/** The prefixes of the family that was drawn. */
function fittingPrefixes(attribute: PathAttribute): PathAttribute {
  if (attribute.type !== "mpReach" || attribute.family === "IPv6") return attribute;
  const prefixes4 = attribute.prefixes.map(({ value, length }) =>
    prefixOf({ family: "IPv4", value: value >> 96n }, length % 33),
  );
  return { ...attribute, prefixes: prefixes4 };
}

export const messages: fc.Arbitrary<Message> = fc.oneof(
  record({
    type: fc.constant("open" as const),
    myAs: u16,
    holdTimeSeconds: u16,
    bgpIdentifier: u32,
    capabilities: fc.array(capabilities, { maxLength: 12 }),
  }),
  record({
    type: fc.constant("update" as const),
    withdrawn: prefixes("IPv4"),
    attributes,
    announced: prefixes("IPv4"),
    faults: fc.constant([]),
  }),
  record({ type: fc.constant("notification" as const), code: u8, subcode: u8, data: bytes }),
  fc.constant({ type: "keepalive" as const }),
  record({
    type: fc.constant("routeRefresh" as const),
    family: families,
    subtype: fc.oneof(
      fc.constantFrom("request" as const, "begin" as const, "end" as const),
      fc.integer({ min: 3, max: 255 }),
    ),
  }),
);

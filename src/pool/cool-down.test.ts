import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "../net/address.ts";
import { formatRange, type Range } from "../net/range.ts";
import { rangesOfAddresses } from "../net/range-set.ts";
import { firstRested, formatCoolDown, readCoolDown, recall, remember } from "./cool-down.ts";
import { ipAddressPoolSchema, type IPAddressPool } from "./objects.ts";
import { parsePools, type Pool } from "./pools.ts";

const NOW = Date.parse("2026-01-01T01:00:00Z");
const MINUTE = 60_000;

function poolWith(text: string | undefined, status?: object): IPAddressPool {
  const annotations = text === undefined ? {} : { "fairlead.io/cool-down": text };
  const metadata = { name: "p", namespace: "metallb-system", annotations };
  return ipAddressPoolSchema.parse({ metadata, spec: { addresses: ["10.0.0.0/24", "fc00::/120"] }, status });
}

function parsed(object: IPAddressPool): Pool {
  const [pool] = parsePools(new Map([["metallb-system/p", object]]), new Map()).pools;
  return pool ?? assert.fail();
}

const set = (...addresses: readonly string[]): readonly Range[] => rangesOfAddresses(addresses.map(address));

const settings = [
  { text: undefined, milliseconds: 0, fault: false },
  { text: "0s", milliseconds: 0, fault: false },
  { text: "10m", milliseconds: 10 * MINUTE, fault: false },
  { text: " 1h30m ", milliseconds: 90 * MINUTE, fault: false },
  { text: "720h", milliseconds: 720 * 60 * MINUTE, fault: false },
  { text: "721h", milliseconds: 0, fault: true },
  { text: "-1m", milliseconds: 0, fault: true },
  { text: "10", milliseconds: 0, fault: true },
  { text: "", milliseconds: 0, fault: true },
];

for (const { text, milliseconds, fault } of settings)
  test(`cool-down ${text ?? "(none)"} is ${fault ? "a fault and none" : `${milliseconds} ms`}`, () => {
    const read = readCoolDown(poolWith(text));
    assert.equal(read.milliseconds, milliseconds);
    assert.equal(read.fault !== undefined, fault);
  });

const released = [
  { name: "a minute ago", at: "2026-01-01T00:59:00.000Z", rests: true },
  { name: "ten minutes ago, to the millisecond", at: "2026-01-01T00:50:00.000Z", rests: false },
  { name: "in the future, where the clock went back", at: "2027-01-01T00:00:00.000Z", rests: true },
  { name: "at a time that is none", at: "yesterday", rests: false },
];

for (const { name, at, rests } of released)
  test(`an address released ${name} ${rests ? "rests, and not longer than the cool-down" : "does not rest"}`, () => {
    const object = poolWith("10m", { coolDown: { released: [{ addresses: "10.0.0.7/32", at }] } });
    const pool = parsed(object);
    const memory = recall(pool, object.status, NOW);
    assert.equal(memory.released.length, rests ? 1 : 0);
    assert.ok((firstRested(pool, memory) ?? 0) <= NOW + 10 * MINUTE);
  });

test("what a status says about addresses that are not the pool's, or says twice, is left out", () => {
  const at = (minute: string): string => `2026-01-01T00:${minute}:00.000Z`;
  const object = poolWith("10m", {
    coolDown: {
      inUse: ["0.0.0.0/0", "::/0", "nonsense", "10.0.0.9-10.0.0.1"],
      released: [
        { addresses: "10.0.0.0/8", at: at("55") },
        { addresses: "10.0.0.3/32", at: at("59") },
        { addresses: "192.0.2.1/32", at: at("59") },
        { addresses: "fc00::1/128", at: at("58") },
      ],
    },
  });
  const memory = recall(parsed(object), object.status, NOW);
  assert.deepEqual(memory.inUse.map(formatRange), ["10.0.0.0/24", "fc00::/120"]);
  assert.deepEqual(formatCoolDown(memory).released, [
    { addresses: "fc00::1/128", at: at("58") },
    { addresses: "10.0.0.3/32", at: at("59") },
  ]);
});

test("what is not in use any more is released now, what is in use again is not, and the rest keeps its time", () => {
  const memory = {
    inUse: set("10.0.0.1", "10.0.0.2"),
    released: [{ range: set("10.0.0.8", "10.0.0.9")[0] ?? assert.fail(), at: NOW - MINUTE }],
  };
  const after = formatCoolDown(remember(memory, set("10.0.0.3"), set("10.0.0.2", "10.0.0.8"), NOW));
  assert.deepEqual(after.inUse, ["10.0.0.2/32", "10.0.0.8/32"]);
  assert.deepEqual(after.released, [
    { addresses: "10.0.0.9/32", at: "2026-01-01T00:59:00.000Z" },
    { addresses: "10.0.0.1/32", at: "2026-01-01T01:00:00.000Z" },
    { addresses: "10.0.0.3/32", at: "2026-01-01T01:00:00.000Z" },
  ]);
});

test("of more stretches than are remembered those released last rest", () => {
  const every = (step: bigint, count: number): readonly Range[] =>
    rangesOfAddresses(Array.from({ length: count }, (_, i) => ({ family: "IPv4", value: BigInt(i) * step })));
  const first = remember({ inUse: every(2n, 3000), released: [] }, [], [], NOW - MINUTE);
  assert.equal(first.released.length, 2000);
  const second = remember(first, set("10.0.0.1"), [], NOW);
  assert.equal(second.released.length, 2000);
  assert.deepEqual(formatCoolDown(second).released.at(-1), {
    addresses: "10.0.0.1/32",
    at: "2026-01-01T01:00:00.000Z",
  });
});

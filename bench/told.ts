/** What telling a peer 100,000 routes costs, without a peer: messages made, read back, one route changed, all told again. */
import { address } from "../src/net/address.ts";
import { formatPrefix, prefixOf } from "../src/net/prefix.ts";
import { advertise, NOTHING_TOLD, refresh } from "../src/protocol/bgp/adjacency-out.ts";
import { INITIAL_CONTEXT } from "../src/protocol/bgp/context.ts";
import { Framer } from "../src/protocol/bgp/framer.ts";
import { routesByPrefix, type Route, type Sender } from "../src/protocol/bgp/route.ts";
import { persistentMap } from "../src/reconcile/persistent-map.ts";

export interface ToldResult {
  readonly routes: string;
  readonly messages: number;
  readonly bytes: number;
  readonly firstMilliseconds: number;
  readonly changeMilliseconds: number;
  readonly refreshMilliseconds: number;
  readonly readMilliseconds: number;
}

const SENDER: Sender = {
  context: { ...INITIAL_CONTEXT, fourOctetAs: true, families: ["IPv4", "IPv6"] },
  localAs: 65011,
  nextHops: {
    IPv4: { address: address("10.0.0.1") },
    IPv6: { address: address("fd00::1"), linkLocal: address("fe80::1") },
  },
};

export const TOLD_INPUTS = {
  "IPv4, attributes shared": (i) => ({ prefix: prefixOf({ family: "IPv4", value: 0x0a00_0000n + BigInt(i) }, 32) }),
  "IPv6, attributes shared": (i) => ({
    prefix: prefixOf({ family: "IPv6", value: (0x2001_0db8n << 96n) + (BigInt(i) << 64n) }, 64),
  }),
  "IPv4, each with its own": (i) => ({
    prefix: prefixOf({ family: "IPv4", value: 0x0a00_0000n + BigInt(i) }, 32),
    multiExitDisc: i,
  }),
} as const satisfies Record<string, (i: number) => Route>;

export function measureTold(name: keyof typeof TOLD_INPUTS, count: number): ToldResult {
  const routes: readonly Route[] = Array.from({ length: count }, (_, i) => TOLD_INPUTS[name](i));
  const all = persistentMap(routesByPrefix(routes));
  const [first, firstMilliseconds] = timed(() => advertise(NOTHING_TOLD, all, SENDER));
  const middle = routes[count >> 1];
  if (middle === undefined) throw new RangeError("A benchmark without routes");
  const draft = all.draft();
  draft.set(formatPrefix(middle.prefix), { ...middle, multiExitDisc: 4_000_000_000 });
  const changed = draft.finish();
  const [second, changeMilliseconds] = timed(() => advertise(first.told, changed, SENDER));
  if (second.messages.length !== 1) throw new Error(`One change made ${second.messages.length} messages`);
  const [, refreshMilliseconds] = timed(() => refresh(first.told, middle.prefix.family, SENDER));
  const [read, readMilliseconds] = timed(() => readAll(first.messages));
  if (read !== first.messages.length) throw new Error(`${read} of ${first.messages.length} messages could be read`);
  return {
    routes: name,
    messages: first.messages.length,
    bytes: first.messages.reduce((sum, { length }) => sum + length, 0),
    firstMilliseconds,
    changeMilliseconds,
    refreshMilliseconds,
    readMilliseconds,
  };
}

function readAll(messages: readonly Uint8Array[]): number {
  const framer = new Framer();
  framer.context = SENDER.context;
  let read = 0;
  for (const message of messages) for (const one of framer.push(message)) if (one.ok) read += 1;
  return read;
}

function timed<Result>(work: () => Result): readonly [Result, number] {
  const start = performance.now();
  const result = work();
  return [result, performance.now() - start];
}

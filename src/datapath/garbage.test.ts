import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../net/address.ts";
import { flow, flow_flag, flow_key } from "./abi.generated.ts";
import { PROTOCOL_NUMBERS, viewOf, writeAddress } from "./encode.ts";
import { decodeFlow, FLOW_TIMEOUTS } from "./flows.ts";
import { sweepFlows, type FlowChunk, type FlowTable } from "./garbage.ts";

const NOW = 100_000;

interface Sample {
  readonly name: string;
  readonly protocol: "TCP" | "UDP";
  readonly flags: number;
  readonly idle: number;
  readonly kept: boolean;
}

const SAMPLES: readonly Sample[] = [
  { name: "a UDP flow at its timeout", protocol: "UDP", flags: 0, idle: 180, kept: true },
  { name: "a UDP flow past its timeout", protocol: "UDP", flags: flow_flag.FLOW_ESTABLISHED, idle: 181, kept: false },
  { name: "a half-open connection past the SYN timeout", protocol: "TCP", flags: flow_flag.FLOW_SNAT, idle: 61, kept: false },
  { name: "an established connection that idles for hours", protocol: "TCP", flags: flow_flag.FLOW_ESTABLISHED, idle: 8000, kept: true },
  { name: "an established connection past its timeout", protocol: "TCP", flags: flow_flag.FLOW_ESTABLISHED, idle: 8001, kept: false },
  { name: "a closing connection within its timeout", protocol: "TCP", flags: flow_flag.FLOW_ESTABLISHED | flow_flag.FLOW_CLOSING, idle: 120, kept: true },
  { name: "a closing connection past its timeout", protocol: "TCP", flags: flow_flag.FLOW_ESTABLISHED | flow_flag.FLOW_CLOSING, idle: 121, kept: false },
  { name: "a reset connection past its timeout", protocol: "TCP", flags: flow_flag.FLOW_CLOSING | flow_flag.FLOW_RESET, idle: 11, kept: false },
];

function encodeFlow(i: number, { protocol, flags, idle }: Sample): { key: Uint8Array; value: Uint8Array } {
  const key = new Uint8Array(flow_key.size);
  const value = new Uint8Array(flow.size);
  writeAddress(viewOf(key), flow_key.offset.source, address("203.0.113.7"));
  writeAddress(viewOf(key), flow_key.offset.destination, address("2001:db8::1"));
  viewOf(key).setUint16(flow_key.offset.source_port, 40_000 + i);
  viewOf(key).setUint8(flow_key.offset.protocol, PROTOCOL_NUMBERS[protocol]);
  viewOf(value).setUint32(flow.offset.flags, flags, true);
  viewOf(value).setUint32(flow.offset.seen_seconds, NOW - idle, true);
  viewOf(value).setUint16(flow.offset.destination_port, 8080);
  viewOf(value).setBigUint64(flow.offset.bytes, 5_000_000_000n, true);
  return { key, value };
}

function model(samples: readonly Sample[], chunkSize: number): FlowTable & { readonly rows: Map<string, Sample> } {
  const rows = new Map(samples.map((sample, i) => [encodeFlow(i, sample).key.join(), sample]));
  return {
    rows,
    *chunks(): Iterable<FlowChunk> {
      for (let from = 0; from < samples.length; from += chunkSize) {
        const part = samples.slice(from, from + chunkSize).map((sample, i) => encodeFlow(from + i, sample));
        const keys = Uint8Array.from(part.flatMap(({ key }) => [...key]));
        yield { keys, values: Uint8Array.from(part.flatMap(({ value }) => [...value])), count: part.length };
      }
    },
    remove: (keys, count) => {
      for (let i = 0; i < count; i += 1) assert.ok(rows.delete(keys.slice(i * flow_key.size, (i + 1) * flow_key.size).join()));
    },
  };
}

describe("sweepFlows", () => {
  for (const sample of SAMPLES) {
    test(`${sample.kept ? "keeps" : "deletes"} ${sample.name}`, async () => {
      const table = model([sample], 8);
      await sweepFlows(table, { nowSeconds: NOW, timeouts: FLOW_TIMEOUTS, pause: async () => {} });
      assert.equal(table.rows.size, sample.kept ? 1 : 0);
    });
  }

  test("deletes exactly the expired rows of every chunk, and pauses after each", async () => {
    const table = model(SAMPLES, 3);
    let pauses = 0;
    const swept = await sweepFlows(table, { nowSeconds: NOW, timeouts: FLOW_TIMEOUTS, pause: async () => void (pauses += 1) });
    assert.deepEqual([...table.rows.values()], SAMPLES.filter(({ kept }) => kept));
    assert.deepEqual(swept, { rows: 8, expired: 5 });
    assert.equal(pauses, 3);
  });
});

test("decodeFlow tells both ends of both sides", () => {
  const { key, value } = encodeFlow(1, { name: "", protocol: "TCP", flags: flow_flag.FLOW_REPLY | flow_flag.FLOW_SNAT, idle: 5, kept: true });
  const decoded = decodeFlow(viewOf(key), viewOf(value));
  assert.deepEqual(decoded.source, address("203.0.113.7"));
  assert.deepEqual(decoded.destination, address("2001:db8::1"));
  assert.equal(decoded.sourcePort, 40_001);
  assert.equal(decoded.protocol, "TCP");
  assert.equal(decoded.to.destinationPort, 8080);
  assert.deepEqual(decoded.flags, ["reply", "snat"]);
  assert.equal(decoded.bytes, 5_000_000_000);
  assert.equal(decoded.seenSeconds, NOW - 5);
});

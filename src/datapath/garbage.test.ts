import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../net/address.ts";
import { flow, flow_flag, flow_key } from "./abi.generated.ts";
import { PROTOCOL_NUMBERS, viewOf, writeAddress } from "./encode.ts";
import { decodeFlow, FLOW_TIMEOUTS } from "./flows.ts";
import { SWEEP_ROWS, sweepFlows } from "./garbage.ts";
import { memoryTable } from "./memory-ports.fixture.ts";
import type { HashTable } from "./ports.ts";

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
  {
    name: "a half-open connection past the SYN timeout",
    protocol: "TCP",
    flags: flow_flag.FLOW_SNAT,
    idle: 61,
    kept: false,
  },
  {
    name: "an established connection that idles for hours",
    protocol: "TCP",
    flags: flow_flag.FLOW_ESTABLISHED,
    idle: 8000,
    kept: true,
  },
  {
    name: "an established connection past its timeout",
    protocol: "TCP",
    flags: flow_flag.FLOW_ESTABLISHED,
    idle: 8001,
    kept: false,
  },
  {
    name: "a closing connection within its timeout",
    protocol: "TCP",
    flags: flow_flag.FLOW_ESTABLISHED | flow_flag.FLOW_CLOSING,
    idle: 120,
    kept: true,
  },
  {
    name: "a closing connection past its timeout",
    protocol: "TCP",
    flags: flow_flag.FLOW_ESTABLISHED | flow_flag.FLOW_CLOSING,
    idle: 121,
    kept: false,
  },
  {
    name: "a reset connection past its timeout",
    protocol: "TCP",
    flags: flow_flag.FLOW_CLOSING | flow_flag.FLOW_RESET,
    idle: 11,
    kept: false,
  },
];

function encodeFlow(i: number, { protocol, flags, idle }: Sample): { key: Uint8Array; value: Uint8Array } {
  const key = new Uint8Array(flow_key.size);
  const value = new Uint8Array(flow.size);
  writeAddress(viewOf(key), flow_key.offset.source, address("203.0.113.7"));
  writeAddress(viewOf(key), flow_key.offset.destination, address("2001:db8::1"));
  viewOf(key).setUint16(flow_key.offset.source_port, 40_000 + i);
  viewOf(key).setUint8(flow_key.offset.protocol, PROTOCOL_NUMBERS[protocol]);
  viewOf(value).setUint16(flow.offset.flags, flags, true);
  viewOf(value).setUint32(flow.offset.seen_seconds, NOW - idle, true);
  viewOf(value).setUint16(flow.offset.destination_port, 8080);
  viewOf(value).setBigUint64(flow.offset.bytes, 5_000_000_000n, true);
  return { key, value };
}

function tableOf(samples: readonly Sample[]): HashTable {
  const table = memoryTable(flow_key.size, flow.size, samples.length);
  samples.forEach((sample, i) => {
    const { key, value } = encodeFlow(i, sample);
    table.put(key, value, 1);
  });
  return table;
}

const options = { nowSeconds: NOW, timeouts: FLOW_TIMEOUTS, pause: async () => {} };

describe("sweepFlows", () => {
  for (const sample of SAMPLES) {
    test(`${sample.kept ? "keeps" : "deletes"} ${sample.name}`, async () => {
      const table = tableOf([sample]);
      await sweepFlows(table, options);
      assert.equal([...table.entries()].length, sample.kept ? 1 : 0);
    });
  }

  test("deletes exactly the expired rows of a long table, and pauses on its way", async () => {
    const count = SWEEP_ROWS * 2 + 5;
    const table = tableOf(Array.from({ length: count }, (_, i) => SAMPLES[i % SAMPLES.length] as Sample));
    let pauses = 0;
    const swept = await sweepFlows(table, { ...options, pause: async () => void (pauses += 1) });
    const kept = [...table.entries()].length;
    assert.equal(
      kept,
      Array.from({ length: count }, (_, i) => SAMPLES[i % SAMPLES.length]).filter((sample) => sample?.kept).length,
    );
    assert.deepEqual(swept, { rows: count, expired: count - kept });
    assert.equal(pauses, 2);
  });
});

test("decodeFlow tells both ends of both sides", () => {
  const { key, value } = encodeFlow(1, {
    name: "",
    protocol: "TCP",
    flags: flow_flag.FLOW_REPLY | flow_flag.FLOW_SNAT,
    idle: 5,
    kept: true,
  });
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

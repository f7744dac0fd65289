import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { hostPrefix } from "../../net/prefix.ts";
import { advertise, NOTHING_TOLD } from "./adjacency-out.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { encodeMessage } from "./message.ts";
import { PcapEncoder, pcapHeader } from "./pcap.ts";
import { peerOpen } from "./session.fixture.ts";
import type { Ends, Traffic } from "./traffic.ts";
import { routesByPrefix } from "./route.ts";

const ENDS: Ends = {
  local: { address: address("192.0.2.10"), port: 40_000 },
  remote: { address: address("192.0.2.1"), port: 179 },
};
const ENDS6: Ends = {
  local: { address: address("2001:db8::10"), port: 179 },
  remote: { address: address("fe80::1"), port: 40_001 },
};
const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

const OPEN = encodeMessage(peerOpen(), INITIAL_CONTEXT);
const KEEPALIVE = encodeMessage({ type: "keepalive" }, INITIAL_CONTEXT);
const CONTEXT = { ...INITIAL_CONTEXT, fourOctetAs: true };
const [UPDATE = new Uint8Array()] = advertise(
  NOTHING_TOLD,
  routesByPrefix([{ prefix: hostPrefix(address("203.0.113.7")) }]),
  {
    context: CONTEXT,
    localAs: 65001,
    nextHops: { IPv4: { address: address("192.0.2.10") } },
  },
).messages;

type Said = readonly [Traffic["direction"], Uint8Array];

function capture(said: readonly Said[], ends: Ends = ENDS): Buffer {
  const encoder = new PcapEncoder();
  const records = said.map(([direction, bytes]) =>
    encoder.record({ type: "bytes", session: "tor", direction, bytes, ends }, AT),
  );
  return Buffer.concat([pcapHeader(), ...records.filter((record) => record !== undefined)]);
}

/** One paragraph a packet. */
function tcpdump(input: Buffer): string {
  const { status, stdout, stderr } = spawnSync("tcpdump", ["-nn", "-vv", "-S", "-tttt", "-r", "-"], {
    input,
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

describe("tcpdump reads", () => {
  const talk: readonly Said[] = [
    ["sent", OPEN],
    ["received", OPEN],
    ["received", KEEPALIVE],
    ["sent", KEEPALIVE],
    ["sent", UPDATE],
  ];

  test("the messages, who sent them, when, and that nothing is missing", () => {
    const text = tcpdump(capture(talk));
    assert.match(text, /2026-01-02 03:04:05\.678000/);
    assert.deepEqual(text.match(/(Open|Keepalive|Update) Message/g), [
      "Open Message",
      "Open Message",
      "Keepalive Message",
      "Keepalive Message",
      "Update Message",
    ]);
    assert.match(text, /203\.0\.113\.7\/32/);
    const ends = [...text.matchAll(/([\d.]+) > ([\d.]+): Flags \[P\.\].*seq (\d+):(\d+), ack (\d+)/g)].map((found) =>
      found.slice(1, 6).join(" "),
    );
    const [open, alive] = [1 + OPEN.length, 1 + OPEN.length + KEEPALIVE.length];
    assert.deepEqual(ends, [
      `192.0.2.10.40000 192.0.2.1.179 1 ${open} 1`,
      `192.0.2.1.179 192.0.2.10.40000 1 ${open} ${open}`,
      `192.0.2.1.179 192.0.2.10.40000 ${open} ${alive} ${open}`,
      `192.0.2.10.40000 192.0.2.1.179 ${open} ${alive} ${alive}`,
      `192.0.2.10.40000 192.0.2.1.179 ${alive} ${alive + UPDATE.length} ${alive}`,
    ]);
  });

  test("right checksums, over IPv4 and IPv6", () => {
    for (const ends of [ENDS, ENDS6]) {
      const text = tcpdump(capture(talk, ends));
      assert.equal(text.match(/cksum 0x[0-9a-f]{4} \(correct\)/g)?.length, talk.length);
      assert.doesNotMatch(text, /incorrect|bad cksum/);
    }
  });
});

describe("a capture", () => {
  test("splits what no packet holds", () => {
    const text = tcpdump(capture([["received", new Uint8Array(65_536).fill(0xff)]]));
    assert.deepEqual(
      [...text.matchAll(/seq (\d+):(\d+)/g)].map(([, from, to]) => [Number(from), Number(to)]),
      [
        [1, 32_769],
        [32_769, 65_537],
      ],
    );
  });

  test("keeps connections of the same peer apart", () => {
    const encoder = new PcapEncoder();
    const other: Ends = { ...ENDS, local: { address: address("192.0.2.10"), port: 40_009 } };
    const first = encoder.record({ type: "bytes", session: "tor", direction: "sent", bytes: OPEN, ends: ENDS }, AT);
    const second = encoder.record({ type: "bytes", session: "tor", direction: "sent", bytes: OPEN, ends: other }, AT);
    const sequence = (record: Uint8Array | undefined): string =>
      Buffer.from(record ?? []).toString("hex", 16 + 14 + 20 + 4, 16 + 14 + 20 + 8);
    assert.deepEqual([sequence(first), sequence(second)], ["00000001", "00000001"]);
  });

  test("has nothing of a connection without addresses", () => {
    const traffic: Traffic = {
      type: "bytes",
      session: "tor",
      direction: "sent",
      bytes: OPEN,
      ends: { ...ENDS, local: undefined },
    };
    assert.equal(new PcapEncoder().record(traffic, AT), undefined);
  });
});

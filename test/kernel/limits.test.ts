/** What happens when something runs out: source ports, the reject rate, the flow table; and who may ask for liveness. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { monotonicNs } from "../../src/kernel/clock.ts";
import { frame, read, type Frame } from "./frame.ts";
import { openWorld, type World } from "./world.ts";

const CLIENT = "192.168.10.250";
const ADDRESS = "192.168.10.0";
const NODE = "192.168.10.201";
const REMOTE = "10.244.2.5";

function withWorld(rodata: Record<string, number>, run: (world: World) => void): void {
  const world = openWorld(rodata);
  try {
    run(world);
  } finally {
    world.close();
  }
}

function toService(more: Partial<Frame> = {}): Uint8Array {
  return frame({ source: CLIENT, destination: ADDRESS, sourcePort: 40000, destinationPort: 80, ...more });
}

test("a world that cannot be opened leaves nothing behind", () => {
  assert.throws(() => openWorld({ no_such_constant: 1 }), /no_such_constant/);
  assert.equal(existsSync(`/run/netns/fl-kt-${process.pid}`), false);
  assert.equal(existsSync(`/run/fairlead/fl-kt-${process.pid}`), false);
});

function reply(port: number, more: Partial<Frame> = {}): Uint8Array {
  return frame({
    source: REMOTE,
    destination: NODE,
    sourcePort: 8080,
    destinationPort: port,
    flags: "A",
    ...more,
  });
}

describe("source ports", () => {
  const fourPorts = { snat_port_min: 20000, snat_port_mask: 3 };

  test("are taken least recently used first", () => {
    withWorld(fourPorts, (world) => {
      world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [{ address: REMOTE, port: 8080 }] });
      const ports = [1, 2, 3, 4].map((n) => read(world.run(toService({ sourcePort: n })).frame).sourcePort);
      assert.deepEqual(ports, [20000, 20001, 20002, 20003]);
    });
  });

  test("held by connections are not taken away: the next client is dropped by name", () => {
    withWorld(fourPorts, (world) => {
      world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [{ address: REMOTE, port: 8080 }] });
      for (const n of [1, 2, 3, 4]) {
        const port = read(world.run(toService({ sourcePort: n })).frame).sourcePort ?? 0;
        assert.equal(world.run(reply(port)).verdict, "VERDICT_REPLIED");
      }
      const fifth = world.run(toService({ sourcePort: 5 }));
      assert.deepEqual([fifth.action, fifth.verdict], ["drop", "DROP_NO_SOURCE_PORT"]);
      for (const port of [20000, 20001, 20002, 20003]) assert.equal(world.run(reply(port)).verdict, "VERDICT_REPLIED");
    });
  });

  test("held by nothing but a SYN are given to the next client, so that a flood cannot keep them", () => {
    withWorld(fourPorts, (world) => {
      world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [{ address: REMOTE, port: 8080 }] });
      for (let n = 1; n <= 40; n += 1)
        assert.equal(world.run(toService({ sourcePort: n })).verdict, "VERDICT_FORWARDED", `client port ${n}`);
    });
  });
});

describe("rejects", () => {
  test("keep within their rate, and what is beyond it has a name", () => {
    withWorld({ rejects_per_second: 2 }, (world) => {
      world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [] });
      const verdicts = new Set<string>();
      for (let n = 0; n < 50; n += 1) verdicts.add(world.run(toService({ sourcePort: 1000 + n })).verdict);
      assert.deepEqual([...verdicts].toSorted(), ["DROP_REJECT_LIMITED", "VERDICT_REJECTED_NO_BACKEND"]);
    });
  });

  test("do not answer a reset", () => {
    withWorld({}, (world) => {
      world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [] });
      const outcome = world.run(toService({ flags: "R" }));
      assert.deepEqual([outcome.action, outcome.verdict], ["drop", "DROP_REJECT_LIMITED"]);
    });
  });
});

test("a flood of new flows neither stops the next one nor touches what is established", () => {
  withWorld({ flow_bucket_mask: 7, flow_cell_mask: 63 }, (world) => {
    world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [{ address: REMOTE, port: 8080 }] });
    const port = read(world.run(toService()).frame).sourcePort ?? 0;
    world.run(toService({ flags: "A" }));
    assert.equal(world.run(reply(port)).verdict, "VERDICT_REPLIED");
    for (let n = 0; n < 6000; n += 1) {
      const source = `172.20.${n >> 8}.${n & 255}`;
      assert.equal(world.run(toService({ source })).verdict, "VERDICT_FORWARDED", `flow ${n}`);
    }
    assert.ok(world.overflow() <= 4096, `${world.overflow()} rows`);
    assert.equal(read(world.run(toService({ flags: "A" })).frame).sourcePort, port);
    assert.equal(world.run(reply(port)).verdict, "VERDICT_REPLIED");
  });
});

test("clients whose addresses follow each other all find a place", () => {
  withWorld({ flow_bucket_mask: 255, flow_cell_mask: 2047 }, (world) => {
    world.frontend({ address: ADDRESS, port: 80, protocol: "tcp", backends: [{ address: REMOTE, port: 8080 }] });
    const ports = Array.from(
      { length: 500 },
      (_, n) => read(world.run(toService({ source: `172.20.${n >> 8}.${n & 255}` })).frame).sourcePort,
    );
    const found = ports.filter((port) => world.run(reply(port ?? 0)).verdict === "VERDICT_REPLIED");
    // A thousand rows in 256 buckets: at random, about nine would be one too many for theirs.
    assert.ok(found.length > 480, `${found.length} of 500 found again`);
    assert.equal(world.overflow(), 0);
  });
});

describe("a liveness probe", () => {
  const KEY = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n] as const;
  const PORT = 7956;
  const probe = (change: (view: DataView) => void = () => {}): Uint8Array => {
    const view = new DataView(new ArrayBuffer(32));
    view.setUint32(0, 0x464c5042);
    view.setUint8(4, 1);
    view.setUint8(5, 1);
    view.setUint32(8, 77);
    view.setBigUint64(16, 0x1122334455667788n, true);
    view.setBigUint64(24, sipHash(KEY, new Uint8Array(view.buffer, 0, 24)), true);
    change(view);
    return new Uint8Array(view.buffer);
  };
  const ask = (payload: Uint8Array): Uint8Array =>
    frame({
      source: "192.168.10.202",
      destination: NODE,
      protocol: "udp",
      sourcePort: 41000,
      destinationPort: PORT,
      payload,
    });

  for (const [seconds, atLeast, atMost] of [
    [60, 50_000, 60_100],
    [-5, 0, 0],
  ] as const)
    test(`is answered with what is left of the stamp (${seconds} s)`, () => {
      withWorld({}, (world) => {
        world.probeKey(KEY, PORT);
        world.stamp(seconds);
        const outcome = world.run(ask(probe()));
        assert.deepEqual([outcome.action, outcome.verdict], ["tx", "VERDICT_ANSWERED_PROBE"]);
        const answer = read(outcome.frame);
        const view = new DataView(answer.payload.buffer, answer.payload.byteOffset, 32);
        assert.deepEqual(
          [answer.source, answer.sourcePort, answer.destination, answer.destinationPort],
          [NODE, PORT, "192.168.10.202", 41000],
        );
        assert.deepEqual(
          [view.getUint8(5), view.getUint32(8), view.getBigUint64(16, true)],
          [2, 77, 0x1122334455667788n],
        );
        const left = view.getUint32(12);
        assert.ok(left >= atLeast && left <= atMost, `${left} ms`);
        assert.equal(view.getBigUint64(24, true), sipHash(KEY, answer.payload.subarray(0, 24)));
      });
    });

  // Else a peer that asks twice takes what is left for more than it was: as if an agent that is away had put off the end of its stamp.
  test("is never answered with more than is left, by a clock that lags", () => {
    withWorld({}, (world) => {
      world.probeKey(KEY, PORT);
      world.stamp(60);
      const end = monotonicNs() + 60_000_000_000n;
      const payload = ask(probe());
      for (let asked = 0; asked < 300; asked += 1) {
        const askedAt = monotonicNs();
        const answer = read(world.run(payload).frame);
        const left = new DataView(answer.payload.buffer, answer.payload.byteOffset, 32).getUint32(12);
        const tooMuch = Number(askedAt - end) / 1e6 + left;
        assert.ok(tooMuch <= 0, `${tooMuch} ms more than was left, asked for the ${asked}th time`);
      }
    });
  });

  const refused: readonly { name: string; payload: Uint8Array; outcome: readonly [string, string] }[] = [
    {
      name: "with a wrong tag",
      payload: probe((v) => v.setUint8(31, v.getUint8(31) ^ 1)),
      outcome: ["drop", "DROP_BAD_PROBE"],
    },
    { name: "of another version", payload: probe((v) => v.setUint8(4, 2)), outcome: ["drop", "DROP_BAD_PROBE"] },
    {
      name: "that is an answer is left to the agent",
      payload: probe((v) => v.setUint8(5, 2)),
      outcome: ["pass", "VERDICT_FOREIGN"],
    },
    {
      name: "that is none is left to the agent",
      payload: probe((v) => v.setUint8(0, 0)),
      outcome: ["pass", "VERDICT_FOREIGN"],
    },
    {
      name: "one byte short is left to the agent",
      payload: probe().subarray(0, 31),
      outcome: ["pass", "VERDICT_FOREIGN"],
    },
    {
      name: "one byte long is left to the agent",
      payload: Uint8Array.of(...probe(), 0),
      outcome: ["pass", "VERDICT_FOREIGN"],
    },
  ];
  for (const { name, payload, outcome } of refused)
    test(name, () => {
      withWorld({}, (world) => {
        world.probeKey(KEY, PORT);
        const result = world.run(ask(payload));
        assert.deepEqual([result.action, result.verdict], outcome);
      });
    });
});

/** SipHash-2-4, written from the paper for this test; checked against its vector below. */
function sipHash(key: readonly [bigint, bigint], bytes: Uint8Array): bigint {
  const mask = (1n << 64n) - 1n;
  const rotate = (x: bigint, b: bigint): bigint => ((x << b) | (x >> (64n - b))) & mask;
  let [a, b, c, d] = [
    key[0] ^ 0x736f6d6570736575n,
    key[1] ^ 0x646f72616e646f6dn,
    key[0] ^ 0x6c7967656e657261n,
    key[1] ^ 0x7465646279746573n,
  ];
  const round = (): void => {
    a = (a + b) & mask;
    b = rotate(b, 13n) ^ a;
    a = rotate(a, 32n);
    c = (c + d) & mask;
    d = rotate(d, 16n) ^ c;
    a = (a + d) & mask;
    d = rotate(d, 21n) ^ a;
    c = (c + b) & mask;
    b = rotate(b, 17n) ^ c;
    c = rotate(c, 32n);
  };
  const padded = new Uint8Array(Math.floor(bytes.length / 8) * 8 + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 255;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const word = view.getBigUint64(at, true);
    d ^= word;
    round();
    round();
    a ^= word;
  }
  c ^= 0xffn;
  for (let i = 0; i < 4; i += 1) round();
  return a ^ b ^ c ^ d;
}

test("the SipHash of these tests gives the paper's vector", () => {
  assert.equal(
    sipHash(
      [0x0706050403020100n, 0x0f0e0d0c0b0a0908n],
      Uint8Array.from({ length: 15 }, (_, i) => i),
    ),
    0xa129ca6149be45e5n,
  );
});

/** Packets to an address of ours that are no plain flow: other traffic, ping, headers that cannot be, fragments, options. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { read } from "./frame.ts";
import {
  ADDRESS,
  CLIENT,
  expect,
  FAMILIES,
  NODE,
  OTHER_REMOTE,
  REMOTE,
  SECOND,
  toService,
  tuple,
  untouched,
} from "./scenario.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
before(() => {
  world = openWorld();
});
after(() => {
  world.close();
});
beforeEach(() => {
  world.reset();
});

for (const f of FAMILIES)
  describe(`${f} addresses`, () => {
    test("a packet to nobody of ours passes untouched", () => {
      world.frontend({ address: ADDRESS[f], port: 80, protocol: "tcp", backends: [] });
      const input = toService(f, { destination: f === "IPv4" ? "8.8.8.8" : "2001:db8::8" });
      untouched(world.run(input), input, "VERDICT_FOREIGN");
    });

    test("a frame for another machine's MAC, flooded to us, passes untouched", () => {
      world.frontend({
        address: ADDRESS[f],
        port: 80,
        protocol: "tcp",
        backends: [{ address: REMOTE[f], port: 8080 }],
      });
      for (const destinationMac of ["02:00:00:00:02:77", "ff:ff:ff:ff:ff:ff"])
        for (const more of [
          {},
          { protocol: "udp" },
          { protocol: 47 },
          { protocol: "icmp", payload: Uint8Array.of(8, 0, 0, 0) },
        ] as const)
          for (const hook of ["xdp", "ingress"] as const) {
            const input = toService(f, { ...more, destinationMac });
            const outcome = world.run(input, hook);
            assert.deepEqual([outcome.action, outcome.verdict], [hook === "xdp" ? "pass" : "next", "VERDICT_FOREIGN"]);
            assert.deepEqual(Buffer.from(outcome.frame), Buffer.from(input));
          }
    });

    test("this node's own traffic passes untouched, whatever its port", () => {
      for (const destinationPort of [22, 12288, 20000, 65535]) {
        const input = toService(f, { destination: NODE[f], destinationPort });
        untouched(world.run(input), input, "VERDICT_FOREIGN");
      }
    });

    test("ping to an address is answered, to another is not", () => {
      world.frontend({ address: ADDRESS[f], port: 80, protocol: "tcp", backends: [] });
      const [request, answer] = f === "IPv4" ? [8, 0] : [128, 129];
      const payload = Uint8Array.of(request, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8);
      const out = expect(world.run(toService(f, { protocol: "icmp", payload })), "tx", "VERDICT_ANSWERED_ECHO");
      assert.deepEqual([out.source, out.destination, out.icmp?.type], [ADDRESS[f], CLIENT[f], answer]);
      assert.deepEqual([...out.payload], [5, 6, 7, 8]);
      const other = toService(f, { protocol: "icmp", payload, destination: NODE[f] });
      untouched(world.run(other), other, "VERDICT_FOREIGN");
    });

    test("a protocol that cannot be balanced is a drop with that name", () => {
      world.frontend({ address: ADDRESS[f], port: 80, protocol: "tcp", backends: [] });
      const outcome = world.run(toService(f, { protocol: 47 }));
      assert.deepEqual([outcome.action, outcome.verdict], ["drop", "DROP_UNSUPPORTED_PROTOCOL"]);
    });

    test("a retransmitted SYN goes where the first went; a new connection on the same ports chooses again", () => {
      const two = [
        { address: REMOTE[f], port: 8080 },
        { address: OTHER_REMOTE[f], port: 8080 },
      ];
      world.frontend({ address: ADDRESS[f], port: 80, protocol: "tcp", algorithm: "random", backends: two });
      const first = tuple(read(world.run(toService(f)).frame));
      for (let i = 0; i < 20; i += 1) assert.equal(tuple(read(world.run(toService(f)).frame)), first);
      const seen = new Set<string>();
      for (let i = 0; i < 40; i += 1) {
        world.run(toService(f, { flags: "R" }));
        seen.add(read(world.run(toService(f)).frame).destination);
      }
      assert.equal(seen.size, 2);
    });

    test("a backend that is not ready keeps its flows and gets no new ones", () => {
      const [id = 0] = world.frontend({
        address: ADDRESS[f],
        port: 80,
        protocol: "tcp",
        backends: [{ address: REMOTE[f], port: 8080 }],
      });
      const first = read(world.run(toService(f)).frame);
      world.run(toService(f, { flags: "A" }));
      world.frontend({
        address: ADDRESS[f],
        port: 80,
        protocol: "tcp",
        backends: [{ address: OTHER_REMOTE[f], port: 8080 }],
      });
      world.backendState(id, "BACKEND_NOT_READY");
      assert.equal(tuple(read(world.run(toService(f, { flags: "A" })).frame)), tuple(first));
      assert.equal(read(world.run(toService(f, { flags: "S" })).frame).destination, OTHER_REMOTE[f]);
    });

    test("a client is mapped alike by all addresses of a Service, and by every table with the same content", () => {
      const two = [
        { address: REMOTE[f], port: 8080 },
        { address: OTHER_REMOTE[f], port: 8080 },
      ];
      for (const address of [ADDRESS[f], SECOND[f]])
        world.frontend({ address, port: 80, protocol: "tcp", backends: two });
      const chosen = new Set<string>();
      for (let sourcePort = 50000; sourcePort < 50040; sourcePort += 1) {
        const [a, b] = [ADDRESS[f], SECOND[f]].map(
          (destination) => read(world.run(toService(f, { destination, sourcePort })).frame).destination,
        );
        assert.equal(a, b);
        chosen.add(a ?? "");
      }
      assert.equal(chosen.size, 2);
    });
  });

describe("headers that cannot be", () => {
  const good = (): Uint8Array => toService("IPv4");
  const changed = (input: Uint8Array, at: number, ...bytes: number[]): Uint8Array => {
    const out = Uint8Array.from(input);
    out.set(bytes, at);
    return out;
  };
  const rows: readonly { name: string; input: () => Uint8Array; verdict: string }[] = [
    {
      name: "an IPv4 header shorter than twenty bytes",
      input: () => changed(good(), 14, 0x44),
      verdict: "DROP_BAD_HEADER",
    },
    {
      name: "an IPv4 packet that says it is version 5",
      input: () => changed(good(), 14, 0x55),
      verdict: "DROP_BAD_HEADER",
    },
    { name: "a total length below the header's", input: () => changed(good(), 16, 0, 19), verdict: "DROP_BAD_HEADER" },
    {
      name: "a total length that leaves no room for TCP",
      input: () => changed(good(), 16, 0, 39),
      verdict: "DROP_TRUNCATED",
    },
    {
      name: "IPv4 options that end after the packet",
      input: () => changed(changed(good(), 14, 0x4f), 16, 0, 100).subarray(0, 60),
      verdict: "DROP_TRUNCATED",
    },
    { name: "a TCP header cut off", input: () => good().subarray(0, 44), verdict: "DROP_TRUNCATED" },
    {
      name: "an IPv6 packet that says it is version 7",
      input: () => changed(toService("IPv6"), 14, 0x70),
      verdict: "DROP_BAD_HEADER",
    },
    {
      name: "an IPv6 payload length that leaves no room for TCP",
      input: () => changed(toService("IPv6"), 18, 0, 19),
      verdict: "DROP_TRUNCATED",
    },
    {
      name: "an IPv6 extension header longer than we follow",
      input: () => changed(toService("IPv6"), 20, 0).map((b, i) => (i === 55 ? 255 : b)),
      verdict: "DROP_BAD_HEADER",
    },
  ];
  for (const { name, input, verdict } of rows)
    test(`${name}: to our address it is dropped by name, to another it passes`, () => {
      for (const f of FAMILIES)
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol: "tcp",
          backends: [{ address: REMOTE[f], port: 8080 }],
        });
      const bytes = input();
      const outcome = world.run(bytes);
      assert.deepEqual([outcome.action, outcome.verdict], ["drop", verdict]);
      const elsewhere = Uint8Array.from(bytes);
      elsewhere.set(bytes[12] === 8 ? [8, 8, 8, 8] : [0x20, 1, 0xd, 0xb8], bytes[12] === 8 ? 30 : 38);
      untouched(world.run(elsewhere), elsewhere, "VERDICT_FOREIGN");
    });
});

describe("fragments and options", () => {
  beforeEach(() => {
    world.frontend({
      address: ADDRESS.IPv4,
      port: 80,
      protocol: "udp",
      backends: [{ address: REMOTE.IPv4, port: 8080 }],
    });
    world.frontend({
      address: ADDRESS.IPv4,
      port: 80,
      protocol: "tcp",
      backends: [{ address: REMOTE.IPv4, port: 8080 }],
    });
  });

  test("a later fragment follows the first", () => {
    const part = { protocol: "udp", identification: 7, noChecksum: true } as const;
    const first = read(world.run(toService("IPv4", { ...part, fragment: { offset: 0, more: true } })).frame);
    const later = world.run(toService("IPv4", { ...part, fragment: { offset: 16, more: false } }));
    assert.deepEqual([later.action, later.verdict], ["tx", "VERDICT_FORWARDED"]);
    assert.deepEqual(
      [...later.frame.subarray(26, 34)],
      [...world.run(toService("IPv4", { ...part, fragment: { offset: 0, more: true } })).frame.subarray(26, 34)],
    );
    assert.equal(first.destination, REMOTE.IPv4);
    assert.deepEqual([...later.frame.subarray(34)], [...new TextEncoder().encode("fairlead")]);
  });

  test("a later fragment whose first part was not seen is a drop with that name", () => {
    const outcome = world.run(
      toService("IPv4", { protocol: "udp", identification: 8, fragment: { offset: 16, more: false } }),
    );
    assert.deepEqual([outcome.action, outcome.verdict], ["drop", "DROP_FRAGMENT"]);
  });

  test("IPv4 options are carried along", () => {
    const out = world.run(toService("IPv4", { options: 8 }));
    assert.equal(out.verdict, "VERDICT_FORWARDED");
    assert.equal(read(out.frame).destination, REMOTE.IPv4);
    assert.equal((out.frame[14] ?? 0) & 15, 7);
  });

  test("a UDP packet without checksum stays without", () => {
    const out = world.run(toService("IPv4", { protocol: "udp", noChecksum: true }));
    assert.deepEqual([out.frame[40], out.frame[41]], [0, 0]);
  });
});

/** Packets in, verdict and packet out: the XDP program on a real kernel, run by BPF_PROG_TEST_RUN. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  arpRequest,
  frame,
  icmpError,
  neighborSolicitation,
  quotedTuple,
  read,
  type Frame,
  type Read,
} from "./frame.ts";
import { openWorld, type Outcome, type World } from "./world.ts";

const CLIENT = { IPv4: "192.168.10.250", IPv6: "fd10::250" };
const ADDRESS = { IPv4: "192.168.10.0", IPv6: "fd10:799::" };
const SECOND = { IPv4: "192.168.10.1", IPv6: "fd10:799::1" };
const NODE = { IPv4: "192.168.10.201", IPv6: "fd10::201" };
const REMOTE = { IPv4: "10.244.2.5", IPv6: "fd20:2::5" };
const OTHER_REMOTE = { IPv4: "10.244.2.6", IPv6: "fd20:2::6" };
const LOCAL_POD = { IPv4: "10.244.1.5", IPv6: "fd20:1::5" };
const FOREIGN_POD = { IPv4: "10.244.1.6", IPv6: "fd20:1::6" };
const CLIENT_MAC = "02:00:00:00:02:50";
const FAMILIES = ["IPv4", "IPv6"] as const;
const PROTOCOLS = ["tcp", "udp"] as const;

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

function toService(f: (typeof FAMILIES)[number], more: Partial<Frame> = {}): Uint8Array {
  return frame({
    sourceMac: CLIENT_MAC,
    destinationMac: world.mac,
    source: CLIENT[f],
    destination: ADDRESS[f],
    sourcePort: 40000,
    destinationPort: 80,
    ...more,
  });
}

function tuple(r: Read): string {
  return `${r.source}:${r.sourcePort} > ${r.destination}:${r.destinationPort}`;
}

function expect(outcome: Outcome, action: string, verdict: string): Read {
  assert.deepEqual({ action: outcome.action, verdict: outcome.verdict }, { action, verdict });
  return read(outcome.frame);
}

function untouched(outcome: Outcome, input: Uint8Array, verdict: string): void {
  assert.deepEqual({ action: outcome.action, verdict: outcome.verdict }, { action: "pass", verdict });
  assert.deepEqual(Buffer.from(outcome.frame), Buffer.from(input));
}

for (const f of FAMILIES)
  for (const protocol of PROTOCOLS)
    describe(`${f} ${protocol}`, () => {
      test("a backend elsewhere gets the packet from this node's address, and the client the reply from the frontend's", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const there = expect(world.run(toService(f, { protocol })), "tx", "VERDICT_FORWARDED");
        const port = there.sourcePort ?? 0;
        assert.equal(tuple(there), `${NODE[f]}:${port} > ${REMOTE[f]}:8080`);
        assert.ok(port >= 12288 && port < 12288 + 16384, `source port ${port}`);
        assert.equal(there.destinationMac, world.nextHopMac);
        assert.equal(there.sourceMac, world.mac);
        assert.equal(there.ttl, 63);
        assert.equal(new TextDecoder().decode(there.payload), "fairlead");

        const reply = frame({
          sourceMac: world.nextHopMac,
          destinationMac: world.mac,
          source: REMOTE[f],
          destination: NODE[f],
          protocol,
          sourcePort: 8080,
          destinationPort: port,
          flags: "SA",
        });
        const back = expect(world.run(reply), "tx", "VERDICT_REPLIED");
        assert.equal(tuple(back), `${ADDRESS[f]}:80 > ${CLIENT[f]}:40000`);
        assert.equal(back.destinationMac, CLIENT_MAC);
        assert.equal(back.ttl, 63);
      });

      test("a pod here whose veth is ours gets the packet with the client's address", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
        });
        world.endpoint(LOCAL_POD[f]);
        const out = expect(world.run(toService(f, { protocol })), "pass", "VERDICT_DELIVERED");
        assert.equal(tuple(out), `${CLIENT[f]}:40000 > ${LOCAL_POD[f]}:8080`);
        assert.equal(out.ttl, 63);
      });

      test("a pod here on a foreign pod network is left to the stack, which takes the hop itself", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: FOREIGN_POD[f], port: 8080, local: true }],
        });
        const out = expect(world.run(toService(f, { protocol })), "pass", "VERDICT_DELIVERED_BY_STACK");
        assert.equal(tuple(out), `${CLIENT[f]}:40000 > ${FOREIGN_POD[f]}:8080`);
        assert.equal(out.ttl, 64);
      });

      test("without a backend the client is told at once", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [] });
        const out = expect(world.run(toService(f, { protocol })), "tx", "VERDICT_REJECTED_NO_BACKEND");
        assert.deepEqual([out.source, out.destination, out.destinationMac], [ADDRESS[f], CLIENT[f], CLIENT_MAC]);
        assert.deepEqual([out.icmp?.type, out.icmp?.code], f === "IPv4" ? [3, 3] : [1, 4]);
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:80`);
      });

      test("a port that no Service has on the address is refused", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const out = expect(
          world.run(toService(f, { protocol, destinationPort: 81 })),
          "tx",
          "VERDICT_REJECTED_UNKNOWN_PORT",
        );
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:81`);
      });

      test("the same port of the other protocol is refused", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        expect(
          world.run(toService(f, { protocol: protocol === "tcp" ? "udp" : "tcp" })),
          "tx",
          "VERDICT_REJECTED_UNKNOWN_PORT",
        );
      });

      test("a flow keeps its backend when the choice would now be another", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const first = expect(world.run(toService(f, { protocol })), "tx", "VERDICT_FORWARDED");
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: OTHER_REMOTE[f], port: 8080 }],
        });
        const second = expect(world.run(toService(f, { protocol, flags: "A" })), "tx", "VERDICT_FORWARDED");
        assert.equal(tuple(second), tuple(first));
      });

      test("a flow whose backend is gone gets another at once", () => {
        const gone = world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: REMOTE[f], port: 8080 }],
        });
        world.run(toService(f, { protocol }));
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: OTHER_REMOTE[f], port: 8080 }],
        });
        world.backendState(gone[0] ?? 0, "BACKEND_GONE");
        const out = expect(world.run(toService(f, { protocol, flags: "A" })), "tx", "VERDICT_FORWARDED");
        assert.equal(out.destination, OTHER_REMOTE[f]);
      });

      test("a row given to another backend does not catch the old one's flows", () => {
        const [id = 0] = world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: REMOTE[f], port: 8080 }],
        });
        world.run(toService(f, { protocol }));
        world.giveBackend(id, OTHER_REMOTE[f], 9090);
        const out = expect(world.run(toService(f, { protocol, flags: "A" })), "tx", "VERDICT_FORWARDED");
        assert.equal(`${out.destination}:${out.destinationPort}`, `${OTHER_REMOTE[f]}:9090`);
      });

      test("two addresses in front of one pod do not mix up a client that uses the same port for both", () => {
        world.endpoint(LOCAL_POD[f]);
        for (const address of [ADDRESS[f], SECOND[f]])
          world.frontend({
            address,
            port: 80,
            protocol,
            backends: [{ address: LOCAL_POD[f], port: 8080, local: true }],
          });
        const first = expect(world.run(toService(f, { protocol })), "pass", "VERDICT_DELIVERED");
        const second = expect(
          world.run(toService(f, { protocol, destination: SECOND[f] })),
          "pass",
          "VERDICT_DELIVERED",
        );
        assert.deepEqual([first.source, first.sourcePort], [CLIENT[f], 40000]);
        assert.equal(second.source, CLIENT[f]);
        assert.notEqual(second.sourcePort, 40000);
      });

      test("the last hop a packet may take is not taken", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const outcome = world.run(toService(f, { protocol, ttl: 1 }));
        assert.deepEqual([outcome.action, outcome.verdict], ["drop", "DROP_TTL_EXPIRED"]);
      });

      test("a backend to which no route leads is a drop with that name", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: f === "IPv4" ? "198.18.0.1" : "2001:db8:dead::1", port: 8080 }],
        });
        const outcome = world.run(toService(f, { protocol }));
        assert.deepEqual([outcome.action, outcome.verdict], ["drop", "DROP_NO_ROUTE"]);
      });

      test("a backend behind an unresolved neighbor is left to tc, untouched", () => {
        world.frontend({
          address: ADDRESS[f],
          port: 80,
          protocol,
          backends: [{ address: f === "IPv4" ? "10.244.3.5" : "fd20:3::5", port: 8080 }],
        });
        const input = toService(f, { protocol });
        untouched(world.run(input), input, "VERDICT_LEFT_TO_TC");
      });

      test("an error about the reply reaches the backend, quoting what the backend sent", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const there = read(world.run(toService(f, { protocol })).frame);
        const reply = frame({
          source: ADDRESS[f],
          destination: CLIENT[f],
          protocol,
          sourcePort: 80,
          destinationPort: 40000,
          flags: "A",
        });
        const [type, code] = f === "IPv4" ? [3, 4] : [2, 0];
        const out = expect(
          world.run(icmpError(CLIENT[f], ADDRESS[f], type, code, reply)),
          "tx",
          "VERDICT_TRANSLATED_ICMP",
        );
        assert.deepEqual([out.source, out.destination], [NODE[f], REMOTE[f]]);
        assert.equal(
          quotedTuple(out.icmp?.body ?? new Uint8Array()),
          `${REMOTE[f]}:8080 > ${NODE[f]}:${there.sourcePort}`,
        );
      });

      test("an error about the request reaches the client, quoting what the client sent", () => {
        world.frontend({ address: ADDRESS[f], port: 80, protocol, backends: [{ address: REMOTE[f], port: 8080 }] });
        const there = world.run(toService(f, { protocol })).frame;
        const [type, code] = f === "IPv4" ? [3, 3] : [1, 4];
        const out = expect(
          world.run(icmpError(REMOTE[f], NODE[f], type, code, there)),
          "tx",
          "VERDICT_TRANSLATED_ICMP",
        );
        assert.deepEqual([out.source, out.destination, out.destinationMac], [ADDRESS[f], CLIENT[f], CLIENT_MAC]);
        assert.equal(quotedTuple(out.icmp?.body ?? new Uint8Array()), `${CLIENT[f]}:40000 > ${ADDRESS[f]}:80`);
      });
    });

for (const f of FAMILIES)
  describe(`${f} addresses`, () => {
    test("a packet to nobody of ours passes untouched", () => {
      world.frontend({ address: ADDRESS[f], port: 80, protocol: "tcp", backends: [] });
      const input = toService(f, { destination: f === "IPv4" ? "8.8.8.8" : "2001:db8::8" });
      untouched(world.run(input), input, "VERDICT_FOREIGN");
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

describe("ARP", () => {
  const ask = (over: { target?: string; to?: string; sender?: string } = {}): Uint8Array =>
    arpRequest(CLIENT_MAC, over.sender ?? CLIENT.IPv4, over.target ?? ADDRESS.IPv4, over.to);

  test("a request for an announced address is answered with the device's MAC", () => {
    world.announce(ADDRESS.IPv4);
    const out = world.run(ask());
    assert.deepEqual([out.action, out.verdict], ["tx", "VERDICT_ANSWERED_ARP"]);
    const expected = arpRequest(world.mac, ADDRESS.IPv4, CLIENT.IPv4, CLIENT_MAC);
    expected[21] = 2;
    expected.set([2, 0, 0, 0, 2, 0x50], 32);
    assert.deepEqual(Buffer.from(out.frame.subarray(0, 42)), Buffer.from(expected));
  });

  const silent: readonly { name: string; arrange?: () => void; input: () => Uint8Array; verdict: string }[] = [
    { name: "an address that is not announced", input: () => ask(), verdict: "VERDICT_FOREIGN" },
    {
      name: "an address announced on another device",
      arrange: () => world.announce(ADDRESS.IPv4, 9999),
      input: () => ask(),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a request that another machine is asked",
      arrange: () => world.announce(ADDRESS.IPv4),
      input: () => ask({ to: "02:00:00:00:77:77" }),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a gratuitous announcement of our address",
      arrange: () => world.announce(ADDRESS.IPv4),
      input: () => ask({ sender: ADDRESS.IPv4 }),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a reply",
      arrange: () => world.announce(ADDRESS.IPv4),
      input: () => ask().map((b, i) => (i === 21 ? 2 : b)),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a request cut off",
      arrange: () => world.announce(ADDRESS.IPv4),
      input: () => ask().subarray(0, 40),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a request with longer hardware addresses",
      arrange: () => world.announce(ADDRESS.IPv4),
      input: () => ask().map((b, i) => (i === 18 ? 8 : b)),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "any address once the agent's stamp has run out",
      arrange: () => {
        world.announce(ADDRESS.IPv4);
        world.stamp(-1);
      },
      input: () => ask(),
      verdict: "VERDICT_SILENT_NOT_ALIVE",
    },
    {
      name: "any address within the margin before the stamp runs out",
      arrange: () => {
        world.announce(ADDRESS.IPv4);
        world.stamp(1);
      },
      input: () => ask(),
      verdict: "VERDICT_SILENT_NOT_ALIVE",
    },
  ];
  for (const { name, arrange, input, verdict } of silent)
    test(`${name} is not answered`, () => {
      arrange?.();
      const bytes = input();
      untouched(world.run(bytes), bytes, verdict);
    });
});

describe("neighbor discovery", () => {
  for (const withOption of [true, false])
    test(`a solicitation ${withOption ? "with" : "without"} a link-layer option is answered`, () => {
      world.announce(ADDRESS.IPv6);
      const out = expect(
        world.run(neighborSolicitation(CLIENT_MAC, CLIENT.IPv6, ADDRESS.IPv6, withOption)),
        "tx",
        "VERDICT_ANSWERED_NDP",
      );
      assert.deepEqual(
        [out.source, out.destination, out.destinationMac, out.ttl, out.icmp?.type],
        [ADDRESS.IPv6, CLIENT.IPv6, CLIENT_MAC, 255, 136],
      );
      assert.equal(out.icmp?.body.length, 24);
      assert.deepEqual(
        [...(out.icmp?.body.subarray(16) ?? [])],
        [2, 1, ...world.mac.split(":").map((b) => Number.parseInt(b, 16))],
      );
    });

  test("duplicate address detection is answered to all nodes", () => {
    world.announce(ADDRESS.IPv6);
    const out = expect(
      world.run(neighborSolicitation(CLIENT_MAC, "::", ADDRESS.IPv6, false)),
      "tx",
      "VERDICT_ANSWERED_NDP",
    );
    assert.deepEqual([out.destination, out.destinationMac], ["ff02::1", "33:33:00:00:00:01"]);
  });

  const silent: readonly { name: string; input: () => Uint8Array; verdict: string; arrange?: () => void }[] = [
    {
      name: "an address that is not announced",
      input: () => neighborSolicitation(CLIENT_MAC, CLIENT.IPv6, SECOND.IPv6),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a solicitation that passed a router",
      input: () => neighborSolicitation(CLIENT_MAC, CLIENT.IPv6, ADDRESS.IPv6).map((b, i) => (i === 21 ? 254 : b)),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a solicitation with a code",
      input: () => neighborSolicitation(CLIENT_MAC, CLIENT.IPv6, ADDRESS.IPv6).map((b, i) => (i === 55 ? 1 : b)),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "a solicitation cut off",
      input: () => neighborSolicitation(CLIENT_MAC, CLIENT.IPv6, ADDRESS.IPv6, false).subarray(0, 70),
      verdict: "VERDICT_FOREIGN",
    },
    {
      name: "any address once the stamp has run out",
      arrange: () => world.stamp(-1),
      input: () => neighborSolicitation(CLIENT_MAC, CLIENT.IPv6, ADDRESS.IPv6),
      verdict: "VERDICT_SILENT_NOT_ALIVE",
    },
  ];
  for (const { name, input, verdict, arrange } of silent)
    test(`${name} is not answered`, () => {
      world.announce(ADDRESS.IPv6);
      arrange?.();
      const bytes = input();
      untouched(world.run(bytes), bytes, verdict);
    });
});

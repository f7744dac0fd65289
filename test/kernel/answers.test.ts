/** ARP and neighbor discovery, answered by the datapath or not. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { arpRequest, neighborSolicitation } from "./frame.ts";
import { ADDRESS, CLIENT, CLIENT_MAC, expect, SECOND, untouched } from "./scenario.ts";
import { openWorld, type FrontendSpec, type World } from "./world.ts";

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

function frontendAt(address: string): FrontendSpec {
  return { address, port: 80, protocol: "tcp", backends: [] };
}

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

  test("questions and answers are counted by address, and a lapsed stamp shows as questions without answers", () => {
    world.announce(ADDRESS.IPv4);
    world.announce(ADDRESS.IPv6);
    for (let count = 0; count < 3; count += 1) world.run(ask());
    world.run(ask({ to: "02:00:00:00:77:77" }));
    world.stamp(-1);
    world.run(ask());
    const rows = world.announced().map(({ address: { family }, requests, answers }) => ({ family, requests, answers }));
    assert.deepEqual(
      rows.toSorted((a, b) => (a.family < b.family ? -1 : 1)),
      [
        { family: "IPv4", requests: 4, answers: 3 },
        { family: "IPv6", requests: 0, answers: 0 },
      ],
    );
  });

  const silent: readonly { name: string; arrange?: () => void; input: () => Uint8Array; verdict: string }[] = [
    { name: "an address that is not announced", input: () => ask(), verdict: "VERDICT_FOREIGN" },
    {
      name: "an address of a Service that another node announces",
      arrange: () => world.frontend(frontendAt(ADDRESS.IPv4)),
      input: () => ask(),
      verdict: "VERDICT_SILENT_NOT_ANNOUNCED",
    },
    {
      name: "an address of a Service that is announced on another device",
      arrange: () => {
        world.frontend(frontendAt(ADDRESS.IPv4));
        world.announce(ADDRESS.IPv4, 9999);
      },
      input: () => ask(),
      verdict: "VERDICT_SILENT_NOT_ANNOUNCED",
    },
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
      name: "an address of a Service that another node announces",
      arrange: () => world.frontend(frontendAt(SECOND.IPv6)),
      input: () => neighborSolicitation(CLIENT_MAC, CLIENT.IPv6, SECOND.IPv6),
      verdict: "VERDICT_SILENT_NOT_ANNOUNCED",
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

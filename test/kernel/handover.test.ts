/** Beside another load balancer: what kube-proxy has translated stays with it, and its announcements do not speak against ours. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, beforeEach, test } from "node:test";
import { addressBytes, address } from "../../src/net/address.ts";
import { openPacketSocket } from "../../src/kernel/packet-socket.ts";
import { waitFor } from "../../lab/wait.ts";
import { arpRequest, frame, mac, read } from "./frame.ts";
import { ADDRESS, CLIENT, CLIENT_MAC, FAMILIES, OTHER_REMOTE, REMOTE, toService, untouched } from "./scenario.ts";
import { NODE_MAC, openWorld, type World } from "./world.ts";

const HOOKS = ["xdp", "ingress"] as const;
const PASSED = { xdp: "pass", ingress: "next" } as const;
let world: World;
before(() => {
  world = openWorld({ has_conntrack: 1 });
  // The packets' numbers do not follow each other.
  world.exec("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1");
  for (const f of FAMILIES) {
    const family = f === "IPv4" ? "ip" : "ip6";
    const target = f === "IPv4" ? `${OTHER_REMOTE[f]}:8080` : `[${OTHER_REMOTE[f]}]:8080`;
    world.exec(
      "nft",
      `table ${family} proxy { chain pre { type nat hook prerouting priority dstnat; ${family} daddr ${ADDRESS[f]} tcp dport 80 dnat to ${target}; }; }`,
    );
  }
});
after(() => {
  world.close();
});
beforeEach(() => arrange());

function arrange(port = 8080): void {
  world.reset();
  for (const f of FAMILIES)
    world.frontend({ address: ADDRESS[f], port: 80, protocol: "tcp", backends: [{ address: REMOTE[f], port }] });
}

/** A packet that really goes through the node's stack, which translates it and remembers that. */
async function throughTheStack(packet: Uint8Array): Promise<void> {
  const links = execFileSync("ip", ["-j", "link", "show", "dev", "far0"], { encoding: "utf8" });
  const [{ ifindex } = { ifindex: 0 }] = JSON.parse(links) as { ifindex: number }[];
  const socket = openPacketSocket(ifindex);
  try {
    socket.send(packet);
  } finally {
    socket.close();
  }
}

for (const f of FAMILIES)
  for (const hook of HOOKS) {
    const send = (more: object): Uint8Array => toService(f, { protocol: "tcp", ...more });

    test(`${f} ${hook}: taking over, a connection that the stack has goes on there, and a new one is ours`, async () => {
      const port = hook === "xdp" ? 41000 : 42000;
      await throughTheStack(send({ sourcePort: port, flags: "S" }));
      await waitFor("the connection to be known", () => {
        arrange();
        world.traffic("TRAFFIC_TAKING_OVER");
        const { verdict } = world.run(send({ sourcePort: port, flags: "A" }), hook);
        return verdict === "VERDICT_LEFT_TO_STACK" ? true : undefined;
      });
      const input = send({ sourcePort: port, flags: "A" });
      const left = world.run(input, hook);
      assert.deepEqual([left.action, Buffer.from(left.frame)], [PASSED[hook], Buffer.from(input)]);
      // Its first SYN was lost, or the answer: the stack has chosen a backend already.
      assert.equal(world.run(send({ sourcePort: port, flags: "S" }), hook).verdict, "VERDICT_LEFT_TO_STACK");
      const fresh = send({ sourcePort: port + 1, flags: "S" });
      assert.equal(world.run(fresh, hook).verdict, "VERDICT_FORWARDED");
      assert.equal(world.run(send({ sourcePort: port + 1, flags: "A" }), hook).verdict, "VERDICT_FORWARDED");
    });

    test(`${f} ${hook}: without a handover the stack is not asked`, async () => {
      const port = hook === "xdp" ? 43000 : 44000;
      await throughTheStack(send({ sourcePort: port, flags: "S" }));
      assert.equal(world.run(send({ sourcePort: port, flags: "A" }), hook).verdict, "VERDICT_FORWARDED");
    });

    test(`${f} ${hook}: standing by, flows of ours go on and everything else is left to the stack`, () => {
      assert.equal(world.run(send({ sourcePort: 45000, flags: "S" }), hook).verdict, "VERDICT_FORWARDED");
      world.traffic("TRAFFIC_STANDING_BY");
      assert.equal(world.run(send({ sourcePort: 45000, flags: "A" }), hook).verdict, "VERDICT_FORWARDED");
      assert.equal(world.run(send({ sourcePort: 45001, flags: "S" }), hook).verdict, "VERDICT_LEFT_TO_STACK");
      const elsewhere = world.run(send({ sourcePort: 45001, destinationPort: 81, flags: "S" }), hook);
      assert.deepEqual([elsewhere.action, elsewhere.verdict], [PASSED[hook], "VERDICT_LEFT_TO_STACK"]);
    });
  }

for (const f of FAMILIES)
  for (const hook of HOOKS)
    test(`${f} ${hook}: taking over, a port towards a backend is given to the stack or to us, not to both`, () => {
      // What tracks the connections remembers ports when our table has been emptied: each hook has a backend of its own.
      const again = (whose: "TRAFFIC_OURS" | "TRAFFIC_TAKING_OVER"): number => {
        arrange(hook === "xdp" ? 8081 : 8082);
        world.traffic(whose);
        return (
          read(world.run(toService(f, { protocol: "tcp", sourcePort: 48000, flags: "S" }), hook).frame).sourcePort ?? 0
        );
      };
      const first = again("TRAFFIC_OURS");
      assert.equal(again("TRAFFIC_OURS"), first);
      assert.equal(again("TRAFFIC_TAKING_OVER"), first);
      assert.equal(again("TRAFFIC_TAKING_OVER"), first + 1);
      assert.equal(again("TRAFFIC_OURS"), first);
      // Where many are taken, one of them is better than none.
      for (let round = 0; round < 8; round += 1) assert.ok(again("TRAFFIC_TAKING_OVER") > first);
    });

for (const f of FAMILIES)
  test(`${f}: taking over, a client's new connection from the port of one that the stack has had is ours`, async () => {
    const packet = (flags: string): Uint8Array => toService(f, { protocol: "tcp", sourcePort: 47000, flags });
    const answer = { source: OTHER_REMOTE[f], destination: CLIENT[f], sourcePort: 8080, destinationPort: 47000 };
    for (const each of [packet("S"), frame({ ...answer, protocol: "tcp", flags: "SA" }), packet("A")])
      await throughTheStack(each);
    await waitFor("the connection to count as established", () => {
      arrange();
      world.traffic("TRAFFIC_TAKING_OVER");
      const settled = world.run(packet("A")).verdict === "VERDICT_LEFT_TO_STACK";
      return settled && world.run(packet("S")).verdict === "VERDICT_FORWARDED" ? true : undefined;
    });
    assert.equal(world.run(packet("A")).verdict, "VERDICT_FORWARDED");
  });

for (const f of FAMILIES)
  test(`${f}: standing by, a client's new connection from the port of an old one of ours is left to the stack as a whole`, () => {
    const send = (flags: string): string =>
      world.run(toService(f, { protocol: "tcp", sourcePort: 46000, flags })).verdict;
    assert.deepEqual(
      [send("S"), send("A"), send("RA")],
      Array.from({ length: 3 }, () => "VERDICT_FORWARDED"),
    );
    world.traffic("TRAFFIC_STANDING_BY");
    assert.deepEqual([send("S"), send("A")], ["VERDICT_LEFT_TO_STACK", "VERDICT_LEFT_TO_STACK"]);
  });

test("standing by, questions reach whoever answers them", () => {
  const question = arpRequest(CLIENT_MAC, CLIENT.IPv4, ADDRESS.IPv4);
  untouched(world.run(question), question, "VERDICT_SILENT_NOT_ANNOUNCED");
  world.traffic("TRAFFIC_STANDING_BY");
  untouched(world.run(question), question, "VERDICT_FOREIGN");
});

/** As MetalLB sends them. */
const gratuitous = arpRequest(NODE_MAC, ADDRESS.IPv4, ADDRESS.IPv4);
function unsolicited(): Uint8Array {
  const option = Uint8Array.of(2, 1, ...mac(NODE_MAC));
  const payload = Uint8Array.of(136, 0, 0, 0, 0x20, 0, 0, 0, ...addressBytes(address(ADDRESS.IPv6)), ...option);
  return frame({ source: "fe80::1", destination: "ff02::1", protocol: "icmp", payload });
}

for (const [name, announcement, family] of [
  ["gratuitous ARP", gratuitous, "IPv4"],
  ["an unsolicited neighbor advertisement", unsolicited(), "IPv6"],
] as const)
  test(`taking over, ${name} of another speaker leaves only where we announce the address as well`, () => {
    const outcome = (): unknown => {
      const { action, verdict } = world.run(announcement, "egress");
      return { action, verdict };
    };
    const leaves = { action: "next", verdict: "VERDICT_FOREIGN" };
    assert.deepEqual(outcome(), leaves);
    world.traffic("TRAFFIC_TAKING_OVER");
    assert.deepEqual(outcome(), { action: "drop", verdict: "VERDICT_SILENCED" });
    world.announce(ADDRESS[family]);
    assert.deepEqual(outcome(), leaves);
    world.traffic("TRAFFIC_STANDING_BY");
    assert.deepEqual(outcome(), leaves);
  });

test("taking over, announcements of addresses that are no Service's leave", () => {
  world.traffic("TRAFFIC_TAKING_OVER");
  const own = arpRequest(NODE_MAC, "192.168.10.201", "192.168.10.201");
  assert.equal(world.run(own, "egress").action, "next");
});

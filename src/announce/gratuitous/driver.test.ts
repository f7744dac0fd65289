import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex } from "../../bytes/hex.ts";
import { address } from "../../net/address.ts";
import { decodeArp } from "../../protocol/arp/packet.ts";
import { decodeNdp } from "../../protocol/ndp/packet.ts";
import { virtualClock, type VirtualClock } from "../../time/clock.ts";
import { startGratuitous, type Gratuitous } from "./driver.ts";

const MAC = hex("0200000000c9");

interface Bench {
  readonly clock: VirtualClock;
  readonly gratuitous: Gratuitous;
  /** In words, as sent. */
  readonly frames: string[];
  readonly problems: string[];
  readonly open: Set<number>;
  /** Devices that refuse. */
  readonly broken: Set<number>;
}

function bench(): Bench {
  const clock = virtualClock();
  const frames: string[] = [];
  const problems: string[] = [];
  const open = new Set<number>();
  const broken = new Set<number>();
  const openSocket = (ifindex: number): { send(frame: Uint8Array): void; close(): void } => {
    assert.ok(!open.has(ifindex), `device ${ifindex} opened twice`);
    open.add(ifindex);
    return {
      send: (frame) => {
        if (broken.has(ifindex)) throw new Error("No such device or address (ENXIO)");
        frames.push(`${ifindex} ${nameOf(frame)}`);
      },
      close: () => open.delete(ifindex),
    };
  };
  const gratuitous = startGratuitous({ clock, openSocket, onProblem: (message) => problems.push(message) });
  return { clock, gratuitous, frames, problems, open, broken };
}

function nameOf(frame: Uint8Array): string {
  const arp = decodeArp(frame);
  if (arp.ok) return `arp ${arp.value.operation}`;
  const ndp = decodeNdp(frame);
  return ndp.ok ? `ndp ${ndp.value.type}` : "neither ARP nor NDP";
}

const four = (ifindex: number) => ({ address: address("10.0.0.1"), ifindex, mac: MAC });
const six = (ifindex: number) => ({ address: address("fc00::1"), ifindex, mac: MAC });

describe("the driver of gratuitous announcements", () => {
  test("sends a request and a reply for IPv4, an advertisement for IPv6, on each device, and repeats them", () => {
    const { clock, gratuitous, frames } = bench();
    gratuitous.set([four(2), six(2), six(3)]);
    assert.deepEqual(frames, ["2 arp request", "2 arp reply", "2 ndp advertisement", "3 ndp advertisement"]);
    clock.advance(60_000);
    assert.equal(frames.length, 5 * 4);
    assert.equal(gratuitous.sent(), 5 * 4);
  });

  test("closes the sockets of devices it does not need, and all in the end", () => {
    const { clock, gratuitous, open, frames } = bench();
    gratuitous.set([four(2), four(3)]);
    assert.deepEqual([...open], [2, 3]);
    gratuitous.set([four(3)]);
    assert.deepEqual([...open], [3]);
    gratuitous.close();
    assert.equal(open.size, 0);
    const before = frames.length;
    clock.advance(10_000);
    assert.equal(frames.length, before);
  });

  test("says what it could not send, goes on with the rest, and tries again with a new socket", () => {
    const { clock, gratuitous, frames, problems, broken, open } = bench();
    broken.add(2);
    gratuitous.set([four(2), four(3)]);
    assert.deepEqual(frames, ["3 arp request", "3 arp reply"]);
    assert.deepEqual(problems, ["Cannot announce 10.0.0.1 on device 2"]);
    assert.deepEqual([...open], [3]);
    broken.delete(2);
    clock.advance(1100);
    assert.deepEqual(frames.slice(2), ["2 arp request", "2 arp reply", "3 arp request", "3 arp reply"]);
    assert.equal(problems.length, 1);
  });

  test("announces again when asked to", () => {
    const { clock, gratuitous, frames } = bench();
    gratuitous.set([six(2)]);
    clock.advance(10_000);
    const before = frames.length;
    gratuitous.again();
    assert.equal(frames.length, before + 1);
  });
});
